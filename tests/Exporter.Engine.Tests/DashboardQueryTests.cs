using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Exporter.Commands;
using Exporter.Engine.Tests.Golden;
using Exporter.Engine.Tests.Support;
using Exporter.Export.Elasticsearch;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Engine.Tests;

/// <summary>
/// The queries of dashboards/elasticsearch, sent as Grafana sends them to OpenSearch: the product's sink has put golden traffic there, and the truth about it stands in
/// for the jobs' results. Each row that a panel shows is compared with one that is computed from the documents.
/// </summary>
public sealed class DashboardQueryTests
{
    private const long Bar = 60_000;

    /// <summary>The time range of the dashboard, in which the attacks are; the clock of a node is ahead.</summary>
    private static readonly TimeSpan Range = TimeSpan.FromHours(2);

    /// <summary>Enough of the matrix: each of its rows is a request.</summary>
    private static readonly TimeSpan MatrixRange = TimeSpan.FromMinutes(5);

    private static readonly JsonElement[] Panels =
    [
        .. JsonElement.Parse(File.ReadAllText(Path.Combine(Repository.Root, "dashboards", "elasticsearch", "records.json"))).GetProperty("panels").EnumerateArray()
            .Where(panel => panel.GetProperty("type").GetString() != "row"),
    ];

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task Each_panel_shows_the_numbers_of_the_records_and_a_filter_chooses_among_them()
    {
        var traffic = GoldenTraffic.Make();
        var begin = traffic.Truth.Begin + GoldenTraffic.Learning;
        await using var node = await SearchNode.StartAsync();
        var documents = await LoadAsync(node, traffic, begin);

        foreach (var panel in Panels)
        {
            var title = panel.GetProperty("title").GetString()!;
            var target = Assert.Single(panel.GetProperty("targets").EnumerateArray());
            var query = new GrafanaQuery(target, begin.ToUnixTimeMilliseconds(), (begin + Range).ToUnixTimeMilliseconds(), Bar);
            var shown = documents.Where(document => IsShown(title, document)).ToList();
            Assert.All(FieldsOf(target), field => Assert.True(shown.Any(document => PanelRows.Find(document, field) is not null), $"{title}: no record for it has {field}."));

            await CompareAsync(node, title, target, query.Build(), shown);
            await CompareAsync(
                node, title, target, query.Build("source.k8s.namespace.name:\"shop\""), [.. shown.Where(document => Text(document, "source.k8s.namespace.name") == "shop")]);
        }
    }

    private static async Task CompareAsync(SearchNode node, string title, JsonElement target, JsonObject search, List<JsonElement> shown)
    {
        var answer = await node.RequestAsync(HttpMethod.Post, "/podnet-*/_search?ignore_unavailable=true&search_type=query_then_fetch", search);
        Assert.True(answer.GetProperty("_shards").GetProperty("failed").GetInt32() == 0, $"{title}: {answer.GetProperty("_shards")}");
        if (target.GetProperty("bucketAggs").GetArrayLength() == 0)
        {
            var hits = answer.GetProperty("hits").GetProperty("hits").EnumerateArray().Select(hit => hit.GetProperty("_source")).ToList();
            Assert.Equal(shown.Select(document => Text(document, "@timestamp")).OrderDescending(), hits.Select(hit => Text(hit, "@timestamp")));
            // Documents of one time have no order.
            Assert.Equal(shown.Select(document => document.GetRawText()).Order(StringComparer.Ordinal), hits.Select(hit => hit.GetRawText()).Order(StringComparer.Ordinal));
            return;
        }
        var rows = PanelRows.Read(answer, target);
        var groups = PanelRows.Group(shown, target, Bar);
        Assert.True(groups.Keys.ToHashSet().SetEquals(rows.Keys), $"{title}: rows\n{string.Join('\n', rows.Keys.Except(groups.Keys))}\nand not\n{string.Join('\n', groups.Keys.Except(rows.Keys))}");
        Assert.All(rows, row => Assert.All(
            target.GetProperty("metrics").EnumerateArray().Zip(row.Value), pair => PanelRows.AssertMetric(pair.First, pair.Second, groups[row.Key])));
    }

    private static IEnumerable<string> FieldsOf(JsonElement target) => target.GetProperty("bucketAggs").EnumerateArray().Concat(target.GetProperty("metrics").EnumerateArray())
        .Where(part => part.TryGetProperty("field", out _)).Select(part => part.GetProperty("field").GetString()!).Append(target.GetProperty("timeField").GetString()!);

    /// <summary>The records that a panel is about, said without the language of its query.</summary>
    private static bool IsShown(string title, JsonElement document)
    {
        var dataset = Text(document, "event.dataset");
        // A connection of two pods is counted at the source.
        var isCounted = dataset == "podnet.flow" && (Text(document, "flow.observer") == "source" || Text(document, "source.class") is not (null or "pods"));
        return title switch
        {
            _ when title.Contains("etections", StringComparison.Ordinal) => dataset == "podnet.detection",
            "Matrix of namespaces" or "Pairs of workloads" => dataset == "podnet.matrix",
            "Bytes in no flow record, by reason" => dataset == "podnet.rest",
            "Records of this sink, by node" => dataset == "podnet.interval",
            "Scans and floods" => dataset == "podnet.flow" && PanelRows.Find(document, "flow.distinct") is not null,
            _ when title.StartsWith("Failed connections", StringComparison.Ordinal) => isCounted && (Text(document, "flow.state") is "refused" or "unanswered" or "half_open"),
            "Round-trip times, by workload and Service" => isCounted && PanelRows.Find(document, "tcp.rtt.smoothed") is not null,
            _ => isCounted,
        };
    }

    /// <summary>Installs the templates, writes the records by the sink, and results beside it.</summary>
    /// <returns>The documents since a time; a repeated record is one.</returns>
    private static async Task<List<JsonElement>> LoadAsync(SearchNode node, GoldenTraffic traffic, DateTimeOffset begin)
    {
        const int BatchLines = 5_000;
        var cancellation = TestContext.Current.CancellationToken;
        using var errors = new StringWriter();
        var exitCode = await FlowsInstallCommand.RunAsync((string[])["--to=opensearch", $"--url={node.Url}", "--no-lifecycle"], TextWriter.Null, errors, cancellation);
        Assert.True(exitCode == 0, errors.ToString());
        // Without messages that no exporter writes, and identities, which are not sent there.
        var lines = traffic.Records.Where(record => record.Appended >= begin).Select(record => record.Value ?? "").Where(line => line.Contains("\"observer\":{", StringComparison.Ordinal)).ToList();
        var metrics = new ElasticsearchMetrics(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()));
        foreach (var chunk in lines.Chunk(BatchLines))
        {
            using var sink = new ElasticsearchSink(new([node.Url], "podnet-flow", "", "", "", ""), metrics, TimeProvider.System, NullLogger.Instance);
            var batch = new RecordBatches().Of(chunk);
            await sink.WriteAsync(batch, cancellation);
            Assert.Equal(0, batch.Rejected);
        }
        var results = ResultsOf(traffic.Truth).Select(result => JsonElement.Parse(result.ToJsonString())).Where(result => IsIn(result, begin)).ToList();
        await Parallel.ForEachAsync(results, cancellation, async (result, _) =>
            await node.RequestAsync(HttpMethod.Post, $"/{Text(result, "event.dataset")!.Replace('.', '-')}-{begin:yyyy.MM.dd}/_doc", result));
        await node.RequestAsync(HttpMethod.Post, "/podnet-*/_refresh");
        return [.. lines.Select(line => JsonElement.Parse(line)).Where(record => IsIn(record, begin)).DistinctBy(record => Text(record, "event.id")), .. results];
    }

    private static bool IsIn(JsonElement document, DateTimeOffset begin) => document.GetProperty("@timestamp").GetDateTimeOffset() >= begin;

    /// <summary>The truth in the shape of the jobs' results.</summary>
    private static IEnumerable<JsonObject> ResultsOf(GoldenTruth truth)
    {
        foreach (var (detection, i) in truth.Detections.Select((detection, i) => (detection.DeepClone().AsObject(), i)))
        {
            detection["@timestamp"] = detection["event"]!["end"]!.DeepClone();
            detection["event"]!["id"] = i.ToString(CultureInfo.InvariantCulture);
            detection["event"]!["dataset"] = "podnet.detection";
            yield return detection;
        }
        foreach (var ((minute, source, destination), row) in truth.Matrix.Where(row => row.Key.Minute - truth.Begin - GoldenTraffic.Learning < MatrixRange))
        {
            yield return new()
            {
                ["@timestamp"] = minute.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
                ["event"] = new JsonObject { ["dataset"] = "podnet.matrix" },
                ["source"] = End(source, row.SourceBytes),
                ["destination"] = End(destination, row.DestinationBytes),
                ["flow"] = new JsonObject { ["connections"] = row.Connections },
            };
        }

        static JsonObject End(string name, ulong bytes) => name.Split('/') is [var space, var workload]
            ? new() { ["k8s"] = new JsonObject { ["namespace"] = Named(space), ["workload"] = Named(workload) }, ["bytes"] = bytes }
            : new() { ["class"] = name, ["bytes"] = bytes };

        static JsonObject Named(string name) => new() { ["name"] = name };
    }

    private static string? Text(JsonElement document, string path) => PanelRows.Find(document, path)?.GetString();
}
