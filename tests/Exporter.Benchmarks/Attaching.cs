using System.Diagnostics;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>How soon interfaces are counted, with the real binary.</summary>
internal static class Attaching
{
    private const int Existing = 1000;
    private const int Backlog = 500;
    private const int New = 100;

    internal static async Task RunAsync()
    {
        foreach (var hook in (string[])["tcx", "clsact"])
        {
            Table.Begin($"Attaching with {hook}");
            await MeasureNewAsync(hook, backlog: 0);
            await MeasureNewAsync(hook, Backlog);
            await MeasureExistingAsync(hook);
            await MeasureLockAsync(hook);
        }
    }

    /// <summary>From the return of the call that makes a pair to both programs being attached.</summary>
    private static async Task MeasureNewAsync(string hook, int backlog)
    {
        using var veths = new Veths(backlog);
        using var probe = new AttachmentProbe(hook);
        using var exporter = await StartAsync(hook);
        var delays = new List<double>();
        for (var i = 0; i < New; i++)
        {
            var ifindex = veths.Add();
            var started = Stopwatch.GetTimestamp();
            while (!probe.IsAttached(ifindex))
            {
                // Asking takes the lock that attaching needs.
                Thread.Sleep(1);
            }
            delays.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        var waiting = backlog == 0 ? "" : $" while up to {backlog} older ones wait";
        Table.Row($"new veth to counting{waiting}, median", Table.Median(delays), " ms");
        Table.Row($"new veth to counting{waiting}, 99th percentile", Table.Percentile(delays, 99), " ms", most: hook == "tcx" ? 60 : 10);
    }

    private static async Task MeasureExistingAsync(string hook)
    {
        using var veths = new Veths(Existing);
        var ifindexes = veths.Ifindexes.ToArray();
        double bare;
        using (var programs = TrafficPrograms.Load(1024))
        using (var client = new TcClient())
        {
            TcAttacher tc = hook == "tcx" ? new TcxAttacher(programs.Pair) : new ClsactAttacher(programs.Pair, 10);
            var started = Stopwatch.GetTimestamp();
            var attachments = ifindexes.Select(tc.AttachBoth).ToList();
            bare = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            attachments.ForEach(attachment => attachment.Dispose());
        }

        using var probe = new AttachmentProbe(hook);
        using var exporter = await StartAsync(hook);
        // The newest is first and the oldest last; it has begun when the one is, and ended when the other is.
        SpinWait.SpinUntil(() => probe.IsAttached(ifindexes[^1]));
        var begun = Stopwatch.GetTimestamp();
        while (!probe.IsAttached(ifindexes[0]))
        {
            Thread.Sleep(1);
        }
        var attached = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
        Table.Row($"the bare kernel calls for {Existing} interfaces", bare, " ms");
        Table.Row($"attaching {Existing} existing interfaces, against the bare calls", attached * Existing / (Existing - 1) / bare, " times", most: 1.1);
    }

    /// <summary>Somebody else who needs the RTNL lock while the backlog is attached: what changes an attribute takes it for a moment.</summary>
    private static async Task MeasureLockAsync(string hook)
    {
        using var veths = new Veths(Backlog);
        var oldest = veths.Ifindexes.First();
        using var probe = new AttachmentProbe(hook);
        using var exporter = await StartAsync(hook);
        var waits = new List<double>();
        while (!probe.IsAttached(oldest))
        {
            var asked = Stopwatch.GetTimestamp();
            Shell.Ip($"link set pntb0 txqueuelen {1000 + waits.Count}");
            waits.Add(Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
        }
        Table.Row("`ip link set` while a backlog is attached, longest", waits.Max(), " ms");
    }

    private static Task<ExporterProcess> StartAsync(string hook) => ExporterProcess.StartAsync($"--Attach:Hook={hook}", "--Drain:Interval=00:00:01");

    /// <summary>Asks the kernel whether an interface has programs on both sides, whoever's they are: nobody else attaches any.</summary>
    private sealed class AttachmentProbe(string hook) : IDisposable
    {
        private readonly TcClient _client = new();

        internal bool IsAttached(int ifindex) => hook == "tcx"
            ? TcxAttacher.CountPrograms(ifindex, TcDirection.Ingress) > 0 && TcxAttacher.CountPrograms(ifindex, TcDirection.Egress) > 0
            : _client.GetFilters(ifindex, TcDirection.Ingress).Count > 0 && _client.GetFilters(ifindex, TcDirection.Egress).Count > 0;

        public void Dispose() => _client.Dispose();
    }
}
