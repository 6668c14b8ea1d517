using System.Globalization;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Far more edges than there is room for, of pods that come and go, through a kill.</summary>
public sealed class EdgeBudgetTests
{
    private const int Staying = 30, Coming = 10, Peers = 60, Rounds = 3;

    /// <summary>An edge has 8 lines; a workload needs 12 more, and so does the node.</summary>
    private const int RoomForAllWorkloads = 12 + ((Staying + Coming) * (12 + 8));

    /// <summary>Those of pods that have left are shown for a minute.</summary>
    private const int RoomForAllEdges = 12 + ((Staying + (Rounds * Coming)) * (12 + (Peers * 8)));

    private static readonly string Classes = string.Join(';', Enumerable.Range(0, Peers).Select(peer => string.Create(CultureInfo.InvariantCulture, $"c{peer}=172.16.{peer}.0/24")));

    [Theory]
    [InlineData(200)]
    [InlineData(RoomForAllWorkloads)]
    [InlineData(RoomForAllEdges)]
    public async Task Forty_workloads_with_sixty_peers_stay_within_the_lines_and_every_packet_is_in_one_edge(int lines)
    {
        using var node = new FlowNode(
            "--Flows:Interval=00:00:00.5", $"--Edges:Classes=pods=10.0.0.0/8;{Classes}", "--Edges:Level=workload", $"--Edges:MaxSeries={lines}", "--Metrics:MaxSeries=100000", "--Metrics:Retention=00:00:01");
        using var staying = new Veths(Staying);
        staying.MakePods();
        var exporter = await node.StartAsync();
        var (sent, last) = (0L, new MetricSamples(""));
        try
        {
            for (var round = 0; round < Rounds; round++)
            {
                // Those of the round before are gone: they count as attached until then.
                await ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Staying);
                using var coming = new Veths(Coming, first: 100 * (round + 1));
                coming.MakePods();
                await ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Staying + Coming);
                foreach (var pods in (Veths[])[staying, coming])
                {
                    pods.Send(FramesOf(round));
                }
                sent += (Staying + Coming) * FramesOf(round).Count;
                if (round == 1)
                {
                    exporter.Dispose();
                    exporter = await node.StartAsync();
                }

                var samples = await ScrapeUntilAsync(samples => Counted(samples, "podnet_receive", "") == sent && Counted(samples, "podnet_edge_receive", "edge_") == sent);

                if (lines == RoomForAllEdges)
                {
                    Assert.All(PodsOf(samples), pod => Assert.Equal(samples.Sum("podnet_receive_packets_total", $"pod=\"{pod}\""), samples.Sum("podnet_edge_receive_packets_total", $"workload=\"{pod}\"")));
                }
            }
            Assert.Equal(lines < RoomForAllEdges, last["podnet_exporter_edges_folded"] > 0);
            // Pods that have left have no series any more.
            Assert.Equal(0, ExporterProcess.Run("flows", "verify", $"--from={node.Records.Path}").ExitCode);
        }
        finally
        {
            exporter.Dispose();
        }

        async Task<MetricSamples> ScrapeUntilAsync(Func<MetricSamples, bool> wanted) => last = await exporter.ScrapeUntilAsync(samples =>
        {
            var edges = EdgesOf(samples);
            Assert.InRange(edges.Count, 0, lines);
            Assert.All(EdgesOf(last).Where(before => edges.ContainsKey(before.Key)), before => Assert.True(edges[before.Key] >= before.Value, $"{before.Key} went back from {before.Value} to {edges[before.Key]}"));
            Assert.True(Counted(samples, "podnet_edge_receive", "edge_") >= Counted(last, "podnet_edge_receive", "edge_"), "packets of edges are gone");
            last = samples;
            return wanted(samples);
        });
    }

    /// <summary>A datagram of each peer to one end, and more of the first ones in later rounds.</summary>
    private static List<byte[]> FramesOf(int round) => [.. Enumerable.Range(0, Peers + (round * 5)).Select(number =>
    {
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(20).ToArray();
        ((ReadOnlySpan<byte>)[172, 16, (byte)((number * (round + 1)) % Peers), 1]).CopyTo(frame.AsSpan(26));
        return frame;
    })];

    private static Dictionary<string, double> EdgesOf(MetricSamples samples) => samples.All.Where(sample => sample.Key.StartsWith("podnet_edge_", StringComparison.Ordinal)).ToDictionary();

    private static IEnumerable<string> PodsOf(MetricSamples samples) =>
        samples.All.Where(sample => sample.Key.StartsWith("podnet_receive_packets_total{", StringComparison.Ordinal)).Select(sample => sample.Key.Split("pod=\"")[1].Split('"')[0]).Distinct();

    /// <summary>Packets in series, and in those that were removed.</summary>
    private static double Counted(MetricSamples samples, string family, string retired) =>
        samples.Sum($"{family}_packets_total") + samples.Sum($"podnet_exporter_retired_{retired}packets_total", "direction=\"receive\"");
}
