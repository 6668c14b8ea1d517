using System.Diagnostics;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Objects;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What it takes that nothing is lost.</summary>
internal static class Continuity
{
    private const int Interfaces = 250;

    internal static async Task RunAsync()
    {
        Table.Begin("Nothing lost");
        using var node = new PinnedNode();
        await MeasureRestartAsync(node);
        MeasureReplacing("tcx");
        MeasureReplacing("clsact");
        MeasureLedger();
    }

    /// <summary>Killed, and started again: until a scrape shows what the kernel has counted meanwhile.</summary>
    private static async Task MeasureRestartAsync(PinnedNode node)
    {
        using var veths = new Veths(Interfaces);
        veths.MakePods();
        using (var first = await node.StartAsync("--Drain:Interval=00:00:01"))
        {
            await first.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Interfaces);
            veths.SendFrames();
        }
        var times = new List<double>();
        for (var round = 0; round < 10; round++)
        {
            veths.SendFrames();
            var started = Stopwatch.GetTimestamp();
            using var exporter = node.Launch("--Drain:Interval=00:00:01");
            while (true)
            {
                try
                {
                    if ((await exporter.ScrapeAsync()).Sum("podnet_receive_packets_total") >= 3 * Interfaces * (round + 2))
                    {
                        break;
                    }
                }
                catch (HttpRequestException)
                {
                    await Task.Delay(1);
                }
            }
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        Table.Row($"killed with {Interfaces} interfaces, from the next start to a scrape with all that was counted meanwhile, median", Table.Median(times), " ms", most: 300);
    }

    private static void MeasureReplacing(string hook)
    {
        using var veths = new Veths(Interfaces);
        using var programs = TrafficPrograms.Load(1024);
        TcAttacher tc = hook == "tcx" ? new TcxAttacher(programs.Pair) : new ClsactAttacher(programs.Pair, 10);
        var attachments = veths.Ifindexes
            .SelectMany(ifindex => new[] { tc.TryAttach(ifindex, TcDirection.Ingress)!, tc.TryAttach(ifindex, TcDirection.Egress)! }).ToList();
        var elf = BpfVariants.Compile("tc", PacketObject.ObjectName, ["-mcpu=v2"]);
        var loading = Stopwatch.GetTimestamp();
        using var previous = programs.Object.Replace(elf);
        var loaded = Stopwatch.GetElapsedTime(loading).TotalMilliseconds;
        var started = Stopwatch.GetTimestamp();
        attachments.ForEach(attachment => attachment.Renew());
        Table.Row($"replacing the programs of {Interfaces} interfaces with {hook}", Stopwatch.GetElapsedTime(started).TotalMilliseconds, " ms", most: 200);
        Table.Row("before that, having the kernel verify them", loaded, " ms");
        attachments.ForEach(attachment => attachment.Dispose());
    }

    /// <summary>Beside what showing the same takes, which is in the table of series.</summary>
    private static void MeasureLedger()
    {
        const int Pods = 250;
        // Most of them after the just-in-time compiler has optimized, as the binary is from its start.
        const int Rounds = 5000;
        using var mount = new PinnedNode();
        using var pins = PinDirectory.Open(mount.Pins);
        using var ledger = Ledger.Open(pins);
        var entries = Enumerable.Range(0, Pods).Select(pod => ledger.Open(RecordKind.Group, RecordKey.Of("", (ulong)pod), null)).ToList();
        TrafficValue traffic = default;
        traffic.Transmit.Transports[0] = new(1, 2, 3);
        var times = new List<double>();
        for (var round = 0; round < Rounds; round++)
        {
            var started = Stopwatch.GetTimestamp();
            lock (ledger.Lock)
            {
                entries.ForEach(entry => entry.Add(traffic));
                ledger.Commit([new CommittedMap(1, round)]);
            }
            times.Add(Stopwatch.GetElapsedTime(started).TotalMicroseconds);
        }
        var median = Table.Median(times);
        Table.Row("the ledger, for an active pod and drain", median / Pods, " us", most: 1);
        Table.Row($"the ledger, with {Pods} active pods and a drain a second", median / 1e6 * 100, " % of a core", most: 0.2);
    }
}
