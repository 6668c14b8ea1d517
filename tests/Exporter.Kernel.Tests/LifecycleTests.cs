using System.Globalization;
using System.Net.Sockets;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Interfaces;
using Exporter.Kernel.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Kernel.Tests;

/// <summary>Interfaces come, go, move and come back, while the binary counts.</summary>
public sealed class LifecycleTests
{
    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task A_pod_is_named_after_its_namespace_and_equals_its_interface(string hook)
    {
        using var exporter = await ExporterProcess.StartAsync($"--Attach:Hook={hook}");
        using var pod = await exporter.AddPodAsync();

        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 24);
        TestTraffic.Udp(pod, AddressFamily.InterNetworkV6, 1000, 500, fromPod: true);

        InterfaceCounters? kernel = null;
        await exporter.ScrapeUntilAsync(samples =>
        {
            var counted = samples.Traffic(pod.Name);
            kernel = pod.ReadCounters();
            return kernel.IsCountedAs(counted) && counted.TransmittedBytes > 1 << 24;
        });
    }

    /// <summary>The server collector has a heap and two threads for each CPU, and a node may have a hundred of them.</summary>
    [Fact]
    public async Task Memory_is_collected_by_one_heap_however_many_CPUs_there_are()
    {
        using var exporter = await ExporterProcess.StartAsync();
        Assert.DoesNotContain(
            Directory.EnumerateDirectories($"/proc/{exporter.Id}/task").Select(thread => File.ReadAllText($"{thread}/comm").Trim()),
            name => name.Contains("Server GC", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_series_of_a_gone_pod_leave_after_the_retention()
    {
        using var exporter = await ExporterProcess.StartAsync("--Metrics:Retention=00:00:05");
        var pod = new Pod();
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        pod.Up();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
        pod.Dispose();

        await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\"") == 100);

        await exporter.ScrapeUntilAsync(samples => !samples.HasPod(pod.Name));
        Assert.Equal(0, exporter.Terminate());
        Assert.DoesNotContain(exporter.Log, line => line.Contains("fail:", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Two_hundred_pods_that_come_and_go_under_traffic_are_each_counted_right(string hook)
    {
        const int Pods = 200;
        const int Datagrams = 500;
        using var exporter = await ExporterProcess.StartAsync($"--Attach:Hook={hook}", "--Metrics:Retention=00:10:00");
        using var steady = new Pod();
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        steady.Up();
        var before = Resources(exporter);
        var names = new List<string>();
        var stop = false;
        var traffic = Task.Run(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                TestTraffic.Udp(steady, AddressFamily.InterNetwork, 100, 100, fromPod: true);
                TestTraffic.Udp(steady, AddressFamily.InterNetwork, 100, 100, fromPod: false);
            }
        });

        for (var i = 0; i < Pods; i++)
        {
            using var pod = new Pod();
            names.Add(pod.Name);
            // Until it is attached nothing can be sent: the pair is down.
            await exporter.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, Datagrams, 100, fromPod: true);
        }
        Volatile.Write(ref stop, true);
        await traffic;

        var samples = await exporter.ScrapeUntilAsync(samples =>
            names.All(name => samples.Sum("podnet_transmit_packets_total", $"pod=\"{name}\"", "transport=\"udp\"") == Datagrams)
            && samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        await exporter.ScrapeUntilAsync(samples => steady.ReadCounters().IsCountedAs(samples.Traffic(steady.Name)));
        Assert.Equal(0, samples["podnet_exporter_unattributed_packets_total{direction=\"transmit\"}"]);
        Assert.Equal(0, samples["podnet_exporter_unattached_packets_total{direction=\"transmit\"}"]);
        var after = Resources(exporter);
        Assert.True(after.FileDescriptors <= before.FileDescriptors + 5, $"{before} became {after}");
        Assert.True(after.ResidentKilobytes < before.ResidentKilobytes + (20 << 10), $"{before} became {after}");

        Assert.Equal(0, exporter.Terminate());
        Assert.DoesNotContain(exporter.Log, line => line.Contains("fail:", StringComparison.Ordinal) || line.Contains("warn:", StringComparison.Ordinal));
        Assert.DoesNotContain("podnet_", Shell.Tc($"filter show dev {steady.Interface} ingress"), StringComparison.Ordinal);
        Assert.Equal(0, TcxAttacher.CountPrograms(steady.Ifindex, TcDirection.Ingress));
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Packets_from_before_the_programs_were_attached_are_told(string hook)
    {
        using var exporter = await ExporterProcess.StartAsync($"--Attach:Hook={hook}");
        using var before = new Pod();
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        Shell.Run("kill", "-STOP", exporter.Id.ToString(CultureInfo.InvariantCulture));
        using var late = new Pod().Up();
        TestTraffic.Udp(late, AddressFamily.InterNetwork, 50, 100, fromPod: true);
        Shell.Run("kill", "-CONT", exporter.Id.ToString(CultureInfo.InvariantCulture));

        var samples = await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 2);

        // Neighbour discovery may add a few.
        Assert.InRange(samples["podnet_exporter_unattached_packets_total{direction=\"transmit\"}"]!.Value, 50, late.ReadCounters().TransmittedPackets);
    }

    [Fact]
    public async Task An_index_that_comes_back_belongs_to_the_new_pod()
    {
        using var exporter = await ExporterProcess.StartAsync();
        using var first = new NetworkNamespace("first");
        using var second = new NetworkNamespace("second");
        const string Veth = "pntreuse";
        const int Ifindex = 77777;

        foreach (var (ns, packets) in ((NetworkNamespace, int)[])[(first, 300), (second, 200)])
        {
            Shell.Ip($"link add {Veth} index {Ifindex.ToString(CultureInfo.InvariantCulture)} type veth peer name eth0 netns {ns.Name}");
            // The first's is of the same name.
            await exporter.GetPodsUntilAsync(pods => pods.Has(ns.Name));
            await exporter.WaitForAttachedAsync(Veth);
            Shell.Ip($"link set {Veth} addrgenmode none up");
            // The end that comes up last can send at once.
            ns.Ip("link set eth0 addrgenmode none up");
            using (var frames = FrameSocket.Open(ns, "eth0"))
            {
                for (var i = 0; i < packets; i++)
                {
                    frames.Send([2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x88, 0xcc, .. new byte[50]]);
                }
            }
            Shell.Ip($"link delete {Veth}");
        }

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", $"pod=\"{second.Name}\"") >= 200);
        Assert.Equal(200, samples.Sum("podnet_transmit_packets_total", $"pod=\"{second.Name}\""));
        Assert.Equal(300, samples.Sum("podnet_transmit_packets_total", $"pod=\"{first.Name}\""));
    }

    [Fact]
    public async Task A_pair_whose_other_end_moves_into_a_namespace_is_counted_from_then_on()
    {
        using var exporter = await ExporterProcess.StartAsync();
        using var ns = new NetworkNamespace("late");
        Shell.Ip("link add pntlate type veth peer name pntpeer");
        try
        {
            Shell.Ip($"link set pntpeer netns {ns.Name}");

            await exporter.GetPodsUntilAsync(pods => pods.Has(ns.Name));
        }
        finally
        {
            Shell.TryRun("ip", "link", "delete", "pntlate");
        }
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 0);
    }

    [Fact]
    public async Task A_namespace_without_a_name_gives_the_pod_its_interface_s()
    {
        using var exporter = await ExporterProcess.StartAsync();
        using var pod = new Pod();
        // The namespace lives on in the open file, but its name is gone.
        using var file = File.OpenHandle($"/run/netns/{pod.Name}");
        Shell.Ip($"netns delete {pod.Name}");
        Shell.Ip($"link set {pod.Interface} name pntrenamed");
        try
        {
            // The name at the time it was found stays the pod's name.
            await exporter.GetPodsUntilAsync(pods => pods.Has(pod.Name) || pods.Has(pod.Interface));
            using var unnamed = await ExporterProcess.StartAsync();
            await unnamed.GetPodsUntilAsync(pods => pods.Has("pntrenamed"));
        }
        finally
        {
            Shell.TryRun("ip", "link", "delete", "pntrenamed");
        }
    }

    [Fact]
    public async Task Only_interfaces_that_the_options_allow_are_counted()
    {
        using var wanted = new Pod();
        using var excluded = new Pod();
        using var exporter = await ExporterProcess.StartAsync("--Attach:Include=^pntveth", $"--Attach:Exclude=^{excluded.Interface}$");
        using var unwanted = new NetworkNamespace("unwanted");
        Shell.Ip($"link add pntother type veth peer name eth0 netns {unwanted.Name}");
        try
        {
            using var last = new Pod();
            var pods = await exporter.GetPodsUntilAsync(pods => pods.Has(last.Name) && pods.Has(wanted.Name));

            Assert.False(pods.Has(excluded.Name));
            Assert.False(pods.Has(unwanted.Name));
        }
        finally
        {
            Shell.TryRun("ip", "link", "delete", "pntother");
        }
    }

    [Fact]
    public async Task Missed_interface_events_are_counted_and_made_up_for()
    {
        const int Links = 100;
        var metrics = new InterfaceMetrics(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()));
        var changes = new ChangeSignal();
        using var monitor = new LinkMonitor(receiveBuffer: 1);
        using var watcher = new LinkWatcher(monitor, changes, metrics, new LoopHealth(TimeProvider.System), new LinkGenerations(), TimeProvider.System, NullLogger<LinkWatcher>.Instance);
        await watcher.StartAsync(CancellationToken.None);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            // All ends in a namespace go in one stroke of the kernel, and with them their other ends: no reader keeps up with that.
            for (var round = 0; metrics.Resyncs.Value == 0; round++)
            {
                using (var ns = new NetworkNamespace($"burst{round}"))
                {
                    var batch = Path.GetTempFileName();
                    await File.WriteAllLinesAsync(batch, Enumerable.Range(0, Links).Select(i => $"link add pntburst{i} type veth peer name eth{i} netns {ns.Name}"));
                    Shell.Run("ip", "-batch", batch);
                    File.Delete(batch);
                    await WaitForLinksAsync(Links);
                }
                await WaitForLinksAsync(0);
            }
        }
        finally
        {
            await watcher.StopAsync(CancellationToken.None);
        }

        async Task WaitForLinksAsync(int count)
        {
            while (watcher.Links.Current.Values.Count(link => link.Link.Name.StartsWith("pntburst", StringComparison.Ordinal)) != count)
            {
                await changes.WaitAsync(deadline.Token);
            }
        }
    }

    private static (int FileDescriptors, long ResidentKilobytes) Resources(ExporterProcess exporter) => (
        Directory.GetFileSystemEntries($"/proc/{exporter.Id}/fd").Length,
        long.Parse(
            File.ReadLines($"/proc/{exporter.Id}/status").Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
            CultureInfo.InvariantCulture));
}
