using Exporter.Commands;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Microsoft.Extensions.Logging;

namespace Exporter.Engine.Tests.Support;

/// <summary>The sink elasticsearch, and what it puts into a node of OpenSearch.</summary>
internal static class SearchSinks
{
    internal const string Index = ElasticsearchOptions.DefaultIndex;

    /// <summary>The index of the day that the records of <see cref="RecordStream"/> have.</summary>
    internal const string Daily = $"{Index}-2026.11.28";

    /// <summary>A search returns at most so many; the default is 10,000.</summary>
    private const int Most = 100_000;

    internal static Func<ILogger, IRecordSink> Open(SearchNode node) => Open(node.Url);

    internal static Func<ILogger, IRecordSink> Open(Uri url) => logger => new ElasticsearchSink(
        new([url], Index, "", "", "", ""), new(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry())), TimeProvider.System, logger);

    /// <summary>As a user does: <c>podnet-exporter flows install --to=opensearch</c>. The node has no plugin for lifecycles.</summary>
    internal static async Task InstallAsync(SearchNode node)
    {
        using var errors = new StringWriter();
        string[] arguments = ["--to=opensearch", $"--url={node.Url}", "--no-lifecycle"];
        Assert.True(await FlowsInstallCommand.RunAsync(arguments, TextWriter.Null, errors, CancellationToken.None) == 0, $"{errors}");
    }

    /// <summary>The records of all days, at least one of which there is.</summary>
    internal static async Task<IReadOnlyList<string>> ReadAllAsync(SearchNode node)
    {
        await node.RequestAsync(HttpMethod.Post, $"/{Index}-*/_refresh");
        await node.RequestAsync(HttpMethod.Put, $"/{Index}-*/_settings", new Dictionary<string, int> { ["index.max_result_window"] = Most });
        var found = (await node.RequestAsync(HttpMethod.Get, $"/{Index}-*/_search?size={Most}&track_total_hits=true")).GetProperty("hits");
        Assert.InRange(found.GetProperty("total").GetProperty("value").GetInt32(), 0, Most);
        return [.. found.GetProperty("hits").EnumerateArray().Select(hit => hit.GetProperty("_source").GetRawText())];
    }
}
