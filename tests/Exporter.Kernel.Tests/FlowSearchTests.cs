using Exporter.Engine.Tests.Support;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The binary and a real node of OpenSearch: what the file has of flows, the index has too.</summary>
public sealed class FlowSearchTests
{
    private const int Most = 10_000;

    [Fact]
    public async Task Killed_and_started_again_the_index_has_the_records_that_the_file_has()
    {
        await using var search = await SearchNode.StartAsync();
        Shell.Run(ExporterProcess.Binary, "flows", "install", "--to=opensearch", $"--url={search.Url}", "--no-lifecycle");
        using var node = new FlowNode("--Export:Sinks=file,elasticsearch", $"--Elasticsearch:Urls={search.Url}");
        using var pod = new Pod();
        await node.AttachAsync(pod);
        for (var life = 0; life < 3; life++)
        {
            using var exporter = await node.StartAsync();
            TestTraffic.Tcp(pod, System.Net.Sockets.AddressFamily.InterNetwork, 1 << 16);
            TestTraffic.Udp(pod, System.Net.Sockets.AddressFamily.InterNetworkV6, 50, 300, fromPod: true);
            await AssertArrivedAsync(node, search, exporter);
            exporter.Kill();
        }

        using var last = await node.StartAsync();
        await node.AssertExactAsync(last, pod);
        await AssertArrivedAsync(node, search, last);
        Assert.Equal(0, (await last.ScrapeAsync()).Sum("podnet_exporter_sink_rejected_records_total"));
    }

    /// <summary>Waits until the index has each record that the file has of what was counted before now.</summary>
    private static async Task AssertArrivedAsync(FlowNode node, SearchNode search, ExporterProcess exporter)
    {
        await node.SettleAsync();
        var wanted = node.Records.Flows.Concat(node.Records.Rests).Select(line => line.Id).ToList();
        Assert.NotEmpty(wanted);
        var came = new HashSet<string>();
        await Wait.UntilAsync(
            async () =>
            {
                came = [.. await SearchAsync(search)];
                return wanted.All(came.Contains);
            },
            () => $"the file has {wanted.Count} records, the index {came.Count}: {string.Join('\n', exporter.Log)}");
    }

    /// <summary>The ids of flows and rests.</summary>
    private static async Task<IEnumerable<string>> SearchAsync(SearchNode search)
    {
        try
        {
            await search.RequestAsync(HttpMethod.Post, "/podnet-flow-*/_refresh");
            var found = await search.RequestAsync(
                HttpMethod.Post, $"/podnet-flow-*/_search?size={Most}", new { query = new { terms = new Dictionary<string, string[]> { ["event.dataset"] = ["podnet.flow", "podnet.rest"] } } });
            return found.GetProperty("hits").GetProperty("hits").EnumerateArray().Select(hit => hit.GetProperty("_id").GetString()!);
        }
        catch (InvalidOperationException)
        {
            // An index that is being made answers 503.
            return [];
        }
    }
}
