using System.Text;
using System.Text.Json;
using CsCheck;
using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Records as JSON lines, each made by the definitions of its fields.</summary>
public sealed class RecordWriterTests : IDisposable
{
    private static readonly JsonSchemaCheck Schema = new(RecordSchema.Write());

    private readonly RecordWriter _writer = new(RecordFields.All);

    public void Dispose() => _writer.Dispose();

    public static TheoryData<int> Samples => [.. Enumerable.Range(0, SampleRecords.Lines().Count)];

    /// <summary>Consumers in other languages are tested with the same lines.</summary>
    [Fact]
    public void The_lines_of_the_sample_records_are_the_recorded_ones() =>
        Assert.Equal(File.ReadAllLines(Path.Combine(Repository.Root, "tests/Exporter.Tests/Recordings/records.jsonl")), SampleRecords.Lines());

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_sample_record_is_valid_by_the_schema(int sample) => Assert.Null(Schema.ErrorIn(SampleRecords.Lines()[sample]));

    [Fact]
    public void The_sample_records_of_a_dataset_have_the_fields_that_are_defined_for_it_and_no_others() =>
        Assert.All(Enum.GetValues<RecordDataset>(), dataset =>
            Assert.Equal(
                RecordFields.All.Where(field => field.IsIn(dataset)).Select(field => field.Path).Order(StringComparer.Ordinal),
                SampleRecords.Lines().Where(line => line.Contains($"\"dataset\":\"{RecordText.NameOf(dataset)}\"", StringComparison.Ordinal)).SelectMany(PathsIn).Distinct().Order(StringComparer.Ordinal)));

    [Fact]
    public void A_line_has_one_end_and_it_is_the_last_byte()
    {
        var line = _writer.Write(SampleRecords.Context, SampleRecords.Tcp());

        Assert.Equal(line.Length - 1, line.IndexOf((byte)'\n'));
    }

    [Fact]
    public void A_record_after_another_is_as_if_it_were_the_first()
    {
        var expected = SampleRecords.Text(_writer.Write(SampleRecords.Context, SampleRecords.Tcp()));
        foreach (var flow in SampleRecords.Flows())
        {
            _writer.Write(SampleRecords.Context, flow);
        }

        Assert.Equal(expected, SampleRecords.Text(_writer.Write(SampleRecords.Context, SampleRecords.Tcp())));
    }

    [Fact]
    public void A_record_that_was_reset_has_nothing_of_the_previous_one()
    {
        Assert.All(SampleRecords.Flows(), flow =>
        {
            flow.Reset();

            Assert.Equal(SampleRecords.Text(_writer.Write(SampleRecords.Context, new FlowRecord())), SampleRecords.Text(_writer.Write(SampleRecords.Context, flow)));
        });
    }

    [Fact]
    public void Times_are_cut_to_the_millisecond_and_in_UTC()
    {
        var flow = SampleRecords.Tcp();
        flow.Start = new(2026, 11, 28, 1, 0, 0, 0, 999, TimeSpan.FromHours(2));
        flow.End = flow.Start + TimeSpan.FromMicroseconds(1);

        using var record = JsonDocument.Parse(SampleRecords.Text(_writer.Write(SampleRecords.Context, flow)));

        Assert.Equal("2026-11-27T23:00:00.000Z", record.RootElement.GetProperty("event").GetProperty("start").GetString());
        Assert.Equal("2026-11-27T23:00:00.001Z", record.RootElement.GetProperty("event").GetProperty("end").GetString());
        Assert.Equal(1_000_000, record.RootElement.GetProperty("event").GetProperty("duration").GetInt64());
    }

    [Theory]
    [InlineData(AddressPolicy.Prefix)]
    [InlineData(AddressPolicy.None)]
    public void Without_full_addresses_there_is_no_community_id_and_no_translation(object policy)
    {
        var line = SampleRecords.Text(_writer.Write(SampleRecords.Context with { Addresses = (AddressPolicy)policy }, SampleRecords.Tcp()));

        Assert.DoesNotContain("network.community_id", PathsIn(line));
        Assert.DoesNotContain(PathsIn(line), path => path.Contains(".nat.", StringComparison.Ordinal));
    }

    [Fact]
    public void Without_addresses_the_version_of_IP_is_the_one_that_the_record_says()
    {
        var flow = SampleRecords.Tcp();
        flow.Source.Address = flow.Destination.Address = default;
        flow.Family = IpFamily.Ipv6;

        var line = SampleRecords.Text(_writer.Write(SampleRecords.Context with { Addresses = AddressPolicy.None }, flow));

        Assert.Contains("\"network\":{\"type\":\"ipv6\",\"transport\":\"tcp\",\"iana_number\":6}", line, StringComparison.Ordinal);
        Assert.DoesNotContain("\"ip\":", line, StringComparison.Ordinal);
        Assert.Null(Schema.ErrorIn(line));
    }

    [Fact]
    public void A_cluster_without_a_name_is_not_written()
    {
        var observer = new RecordObserver(new byte[RecordObserver.EpochLength], "node-0", "");

        var line = SampleRecords.Text(_writer.Write(SampleRecords.Context with { Observer = observer }, SampleRecords.Tcp()));

        Assert.EndsWith("\"k8s\":{\"node\":{\"name\":\"node-0\"}},\"podnet\":{\"schema\":1}}", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_of_any_letters_come_back() =>
        Gen.Select(Names, Names).Sample((name, workload) =>
        {
            var flow = SampleRecords.Tcp();
            flow.Source.End = new() { Namespace = "shop", Pod = name, Workload = workload };

            var line = SampleRecords.Text(_writer.Write(SampleRecords.Context, flow));

            Assert.Null(Schema.ErrorIn(line));
            using var record = JsonDocument.Parse(line);
            var named = record.RootElement.GetProperty("source").GetProperty("k8s");
            Assert.Equal(WellFormed(name), named.TryGetProperty("pod", out var pod) ? pod.GetProperty("name").GetString() : "");
            Assert.Equal(WellFormed(workload), named.TryGetProperty("workload", out var found) ? found.GetProperty("name").GetString() : "");
        }, threads: 1);

    [Fact]
    public void Any_record_is_valid_by_the_schema() =>
        Gen.Select(Gen.Int[0, SampleRecords.Flows().Count - 1], Gen.ULong, Gen.Byte, Gen.Double[0.001, 1]).Sample((sample, bits, flags, probability) =>
        {
            var flow = SampleRecords.Flows()[sample];
            flow.Source.TcpFlags = flags;
            flow.Destination.TcpFlags = (byte)~flags;
            flow.Source.HasPort = Bit(0);
            flow.Source.Bytes = bits;
            flow.Source.Address = Bit(1) ? flow.Source.Address : default;
            flow.Destination.Address = Bit(2) ? flow.Destination.Address : default;
            flow.Family = IpFamily.Ipv4;
            flow.Source.End = Bit(3) ? new() : flow.Source.End;
            flow.Destination.End = Bit(4) ? null : flow.Destination.End;
            flow.SmoothedRttNs = Bit(5) ? bits : null;
            flow.FlowStart = Bit(6) ? flow.End : null;
            flow.State = Bit(7) ? (FlowState)(bits % 6) : null;
            flow.EndReason = Bit(8) ? (FlowEndReason)(bits % 3) : null;
            flow.SamplingProbability = Bit(9) ? probability : null;
            flow.Protocol = Bit(10) ? flags : flow.Protocol;
            flow.Orientation = (FlowOrientation)(bits % 5);

            Assert.Null(Schema.ErrorIn(SampleRecords.Text(_writer.Write(SampleRecords.Context, flow))));

            bool Bit(int bit) => (bits >> bit & 1) != 0;
        }, threads: 1);

    [Fact]
    public void Chosen_fields_are_written_beside_the_required_ones()
    {
        using var writer = new RecordWriter(RecordFields.Choose(["source.k8s", "flow.state"]));

        var line = SampleRecords.Text(writer.Write(SampleRecords.Context, SampleRecords.Tcp()));

        Assert.Null(Schema.ErrorIn(line));
        Assert.Equal(
            ["flow.state", "source.k8s.namespace.name", "source.k8s.pod.name", "source.k8s.workload.kind", "source.k8s.workload.name"],
            PathsIn(line).Except(RecordFields.All.Where(field => field.IsRequired).Select(field => field.Path)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("source.k8")]
    [InlineData("")]
    [InlineData("flow.states")]
    public void A_field_that_does_not_exist_cannot_be_chosen(string path) =>
        Assert.StartsWith($"has '{path}'", Assert.Throws<FormatException>(() => RecordFields.Choose([path])).Message, StringComparison.Ordinal);

    [Fact]
    public void Writing_allocates_nothing()
    {
        const int Records = 10_000;
        var flows = SampleRecords.Flows();
        var rest = SampleRecords.Rests[0];
        var written = Write(Records);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var again = Write(Records);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(written, again);

        long Write(int records)
        {
            var bytes = 0L;
            for (var i = 0; i < records; i++)
            {
                bytes += _writer.Write(SampleRecords.Context, flows[i % flows.Count]).Length;
                bytes += _writer.Write(SampleRecords.Context, rest).Length;
            }
            return bytes;
        }
    }

    /// <summary>Also with quotes, ends of lines and halves of characters.</summary>
    private static Gen<string> Names => Gen.OneOf(Gen.Char, Gen.Char["\"\\\n\r\u2028/<é\0"]).Array[0, 40].Select(letters => new string(letters));

    /// <summary>As text is that was once UTF-8.</summary>
    private static string WellFormed(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    private static List<string> PathsIn(string line)
    {
        using var record = JsonDocument.Parse(line);
        return [.. PathsIn(record.RootElement, "")];

        static IEnumerable<string> PathsIn(JsonElement value, string path) => value.ValueKind == JsonValueKind.Object
            ? value.EnumerateObject().SelectMany(member => PathsIn(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}"))
            : [path];
    }
}
