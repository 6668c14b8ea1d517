using System.Text.Json;
using System.Text.Json.Nodes;
using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The JSON Schema and the table that are made of the definitions of fields.</summary>
public sealed class RecordSchemaTests
{
    private static readonly JsonSchemaCheck Schema = new(RecordSchema.Write());

    [Theory]
    [InlineData("event.id", null)]
    [InlineData("event.id", "\"short\"")]
    [InlineData("event.dataset", "\"podnet.other\"")]
    [InlineData("event.dataset", "\"podnet.rest\"")]
    [InlineData("event.start", "\"2026-11-28T10:05:03Z\"")]
    [InlineData("network.type", "\"ipx\"")]
    [InlineData("network.iana_number", "256")]
    [InlineData("source.ip", "\"10.0.0\"")]
    [InlineData("source.ip", "null")]
    [InlineData("source.bytes", "-1")]
    [InlineData("source.bytes", "1.5")]
    [InlineData("source.bytes", "\"1\"")]
    [InlineData("source.port", "65536")]
    [InlineData("source.k8s.pod.name", "\"\"")]
    [InlineData("source.k8s", "{}")]
    [InlineData("tcp.flags.source", "[]")]
    [InlineData("tcp.flags.source", "[\"syn\"]")]
    [InlineData("flow.observer", null)]
    [InlineData("observer.interface", null)]
    [InlineData("podnet.schema", "2")]
    public void A_record_with_a_wrong_value_is_not_valid(string path, string? value)
    {
        var record = JsonNode.Parse(SampleRecords.Lines()[0])!.AsObject();
        Assert.Null(Schema.ErrorIn(record.ToJsonString()));

        Set(record, path, value);

        Assert.NotNull(Schema.ErrorIn(record.ToJsonString()));
    }

    [Theory]
    [InlineData("later")]
    [InlineData("source.later")]
    [InlineData("tcp.flags.later")]
    [InlineData("source.k8s.pod.later")]
    public void A_record_with_a_field_of_a_later_version_is_valid(string path)
    {
        var record = JsonNode.Parse(SampleRecords.Lines()[0])!.AsObject();

        Set(record, path, "1");

        Assert.Null(Schema.ErrorIn(record.ToJsonString()));
    }

    [Fact]
    public void Every_field_has_a_place_in_the_schema_of_its_datasets()
    {
        using var schema = JsonDocument.Parse(RecordSchema.Write());
        var definitions = schema.RootElement.GetProperty("$defs");

        Assert.All(RecordFields.All, field => Assert.All(field.Datasets, dataset =>
        {
            var place = field.Path.Split('.').Aggregate(definitions.GetProperty(RecordText.Name(dataset)), (found, name) => found.GetProperty("properties").GetProperty(name));
            Assert.StartsWith(field.Description, place.GetProperty("description").GetString(), StringComparison.Ordinal);
        }));
    }

    [Fact]
    public void No_field_is_defined_twice() => Assert.Distinct(RecordFields.All.Select(field => field.Path));

    /// <summary>Else an object would be begun twice in a record.</summary>
    [Fact]
    public void Fields_of_one_object_follow_each_other() => Assert.All(Enum.GetValues<RecordDataset>(), dataset =>
    {
        var paths = RecordFields.All.Where(field => field.IsIn(dataset)).Select(field => field.Path).ToList();
        var objects = paths.SelectMany(path => path.Select((letter, at) => letter == '.' ? path[..(at + 1)] : null).OfType<string>()).Distinct();
        Assert.All(objects, name =>
        {
            var within = paths.Select((path, at) => path.StartsWith(name, StringComparison.Ordinal) ? at : -1).Where(at => at >= 0).ToList();
            Assert.Equal(within.Count - 1, within[^1] - within[0]);
        });
    });

    [Fact]
    public void The_table_has_a_row_for_each_field()
    {
        var rows = RecordFieldsText.Write().Split('\n')[2..];

        Assert.Equal(RecordFields.All.Select(field => $"`{field.Path}`"), rows.Select(row => row.Split(" | ")[0].TrimStart('|', ' ')));
        Assert.All(rows, row => Assert.Equal(6, row.Count(letter => letter == '|')));
        Assert.Contains("| `source.bytes` | integer | bytes | flow | Bytes that the end that began sent in the interval. |", rows);
        Assert.Contains("| `rest.direction` | keyword |  | rest | Direction of the traffic from the pod's view. `transmit`, `receive`. |", rows);
    }

    /// <param name="value">Null: the field is removed.</param>
    private static void Set(JsonObject record, string path, string? value)
    {
        var names = path.Split('.');
        var place = names[..^1].Aggregate(record, (found, name) => found[name]!.AsObject());
        if (value is null)
        {
            Assert.True(place.Remove(names[^1]));
        }
        else
        {
            place[names[^1]] = JsonNode.Parse(value);
        }
    }
}
