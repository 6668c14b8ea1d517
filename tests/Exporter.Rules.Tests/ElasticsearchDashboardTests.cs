using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Exporter.Rules.Tests.Support;

namespace Exporter.Rules.Tests;

/// <summary>The promises of each dashboard on Elasticsearch. tests/Exporter.Engine.Tests runs its queries.</summary>
public sealed partial class ElasticsearchDashboardTests
{
    /// <summary>The condition that counts a connection once, of those of its ends that have records.</summary>
    private const string Once = "(flow.observer:source OR (_exists_:source.class AND NOT source.class:pods))";

    /// <summary>Grafana's names of columns with a metric's values.</summary>
    private static readonly Dictionary<string, string> Columns = new() { ["count"] = "Count", ["sum"] = "Sum", ["max"] = "Max", ["cardinality"] = "Unique Count" };

    private static IEnumerable<JsonElement> Panels => Dashboards.OfElasticsearch.SelectMany(dashboard => dashboard.Panels);

    private static IEnumerable<JsonElement> Targets => Panels.SelectMany(panel => panel.GetProperty("targets").EnumerateArray());

    [Fact]
    public void Every_data_source_is_the_variable_and_one_filter_is_for_all_panels() => Assert.All(Dashboards.OfElasticsearch, dashboard =>
    {
        var (source, filter) = (dashboard.Variables.First(), Assert.Single(dashboard.Variables.Skip(1)));
        Assert.Equal(("records", "datasource", "elasticsearch"), (Text(source, "name"), Text(source, "type"), Text(source, "query")));
        Assert.Equal("adhoc", Text(filter, "type"));
        Assert.All(
            dashboard.Panels.Append(filter).Concat(dashboard.Panels.SelectMany(panel => panel.GetProperty("targets").EnumerateArray())),
            user => Assert.Equal(("elasticsearch", "${records}"), (Text(user.GetProperty("datasource"), "type"), Text(user.GetProperty("datasource"), "uid"))));
    });

    [Fact]
    public void A_query_is_of_one_dataset_and_a_filter_can_be_added_to_it() => Assert.All(Targets, target =>
    {
        var query = Text(target, "query");
        Assert.Matches(@"^event\.dataset:podnet\.(flow|rest|interval|matrix|detection)( AND |$)", query);
        // Grafana adds AND and the filter, so that an OR has to be in parentheses.
        Assert.DoesNotContain(" OR ", Group().Replace(Group().Replace(query, ""), ""), StringComparison.Ordinal);
        Assert.Equal("@timestamp", Text(target, "timeField"));
    });

    [Fact]
    public void A_connection_of_two_pods_is_counted_once_or_by_the_end_that_saw_it() => Assert.All(
        Targets.Where(target => Text(target, "query").StartsWith("event.dataset:podnet.flow", StringComparison.Ordinal)),
        target => Assert.True(
            Text(target, "query").Contains($" AND {Once}", StringComparison.Ordinal) || target.GetProperty("bucketAggs").EnumerateArray().Any(bucket => Text(bucket, "field") == "flow.observer"),
            Text(target, "query")));

    /// <summary>With Flows:Addresses=prefix, for example.</summary>
    [Fact]
    public void A_panel_says_where_records_lack_the_field_that_it_counts_or_lists_by() => Assert.All(Panels, panel =>
    {
        var targets = panel.GetProperty("targets").EnumerateArray().ToList();
        var isOfDistinct = targets.Any(target => target.GetProperty("metrics").EnumerateArray().Any(metric => Text(metric, "type") == "cardinality"));
        var isByAddress = targets.Any(target => target.GetProperty("bucketAggs").EnumerateArray().Any(bucket => Text(bucket, "field") is "source.ip" or "destination.ip" or "destination.port"));

        Assert.Equal(isOfDistinct, Text(panel, "description").Contains("Records without network.community_id count as none", StringComparison.Ordinal));
        Assert.Equal(isByAddress, Text(panel, "description").Contains("Records without addresses or ports are not in it.", StringComparison.Ordinal));
    });

    [Fact]
    public void Buckets_and_metrics_have_ids_of_their_own_and_an_order_is_by_one_of_them() => Assert.All(Targets, target =>
    {
        var (metrics, buckets) = (target.GetProperty("metrics").EnumerateArray().ToList(), target.GetProperty("bucketAggs").EnumerateArray().ToList());
        Assert.Distinct(metrics.Concat(buckets).Select(part => Text(part, "id")));
        Assert.All(
            buckets.Where(bucket => Text(bucket, "type") == "terms").Select(bucket => Text(bucket.GetProperty("settings"), "orderBy")),
            order => Assert.True(order is "_count" or "_key" || metrics.Any(metric => Text(metric, "id") == order && Text(metric, "type") is "sum" or "max" or "cardinality"), order));
    });

    [Fact]
    public void A_table_has_a_name_for_every_column_and_a_unit_for_those_of_values() => Assert.All(Panels.Where(panel => Dashboard.Type(panel) == "table"), panel =>
    {
        var target = Assert.Single(panel.GetProperty("targets").EnumerateArray());
        var names = panel.GetProperty("transformations").EnumerateArray().Single(transformation => Text(transformation, "id") == "organize").GetProperty("options").GetProperty("renameByName");
        Assert.All(target.GetProperty("bucketAggs").EnumerateArray(), bucket => Assert.True(names.TryGetProperty(Text(bucket, "field"), out _), Text(bucket, "field")));
        if (Text(target.GetProperty("metrics")[0], "type") != "raw_data")
        {
            Assert.All(ColumnsOf(target), column => Assert.Contains(
                panel.GetProperty("fieldConfig").GetProperty("overrides").EnumerateArray(), set => Text(set.GetProperty("matcher"), "options") == names.GetProperty(column).GetString()));
        }
    });

    private static IEnumerable<string> ColumnsOf(JsonElement target)
    {
        var metrics = target.GetProperty("metrics").EnumerateArray().ToList();
        return metrics.SelectMany(metric => Text(metric, "type") is "percentiles"
            ? metric.GetProperty("settings").GetProperty("percents").EnumerateArray().Select(percent =>
                string.Create(CultureInfo.InvariantCulture, $"p{double.Parse(percent.GetString()!, CultureInfo.InvariantCulture):F1} {Text(metric, "field")}"))
            : [Columns[Text(metric, "type")] + (metrics.Count(other => Text(other, "type") == Text(metric, "type")) > 1 ? $" {Text(metric, "field")}" : "")]);
    }

    private static string Text(JsonElement part, string name) => part.GetProperty(name).GetString()!;

    [GeneratedRegex(@"\([^()]*\)")]
    private static partial Regex Group();
}
