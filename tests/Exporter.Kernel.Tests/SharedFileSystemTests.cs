using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Several nodes on one machine, as kind and k3d make them: each has a network namespace of its own, and all have one BPF file system.</summary>
public sealed class SharedFileSystemTests
{
    [Theory]
    [InlineData("tcx", 30)]
    [InlineData("clsact", 15)]
    public async Task Two_nodes_that_are_killed_at_random_moments_under_load_each_count_every_packet_once(string hook, int kills)
    {
        var random = new Random();
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        using var second = new SecondNode(node);
        using var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
        }
        using (var first = second.Launch())
        {
            await second.WaitForPodAsync(first);
        }
        using (new SteadyLoad(pod))
        {
            for (var kill = 0; kill < kills; kill++)
            {
                using var one = node.Launch();
                using var two = second.Launch();
                await Task.Delay(random.Next(20, 600));
                second.Send(20);
                two.Kill();
                one.Kill();
            }
        }

        using var lastSecond = second.Launch();
        await second.WaitForPodAsync(lastSecond);
        await second.AssertExactAsync();
        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, pod);
        await second.AssertExactAsync();
    }

    [Fact]
    public async Task Uninstall_removes_its_own_namespace_and_with_all_every_namespace()
    {
        using var node = new PinnedNode("--Attach:Hook=tcx");
        using var second = new SecondNode(node);
        using (var other = second.Launch())
        {
            await second.WaitForPodAsync(other);
            other.Kill();
        }
        using (var exporter = await node.StartAsync())
        {
            exporter.Kill();
        }

        Assert.Equal(0, node.Uninstall().ExitCode);
        Assert.False(Directory.Exists(node.Folder));
        Assert.True(Directory.Exists(second.Folder));

        Assert.Equal(0, ExporterProcess.Run(["uninstall", "--all", .. node.Options]).ExitCode);
        Assert.False(Directory.Exists(node.Pins));
    }

    [Fact]
    public async Task With_all_a_running_exporter_of_another_namespace_is_asked_to_remove_everything()
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var second = new SecondNode(node);
        using var other = second.Launch();
        await second.WaitForPodAsync(other);

        Assert.Equal(0, ExporterProcess.Run(["uninstall", "--all", .. node.Options]).ExitCode);

        Assert.False(Directory.Exists(node.Pins));
        Assert.DoesNotContain("podnet_", second.Filters(), StringComparison.Ordinal);
    }

    /// <summary>Filters of a stopped exporter can only be removed in their namespace, which is said.</summary>
    [Fact]
    public async Task With_all_filters_of_another_namespace_that_stay_are_reported_and_removed_by_uninstall_there()
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var second = new SecondNode(node);
        using (var other = second.Launch())
        {
            await second.WaitForPodAsync(other);
            other.Kill();
        }

        var (exitCode, _, error) = ExporterProcess.Run(["uninstall", "--all", .. node.Options]);

        Assert.Equal(1, exitCode);
        Assert.Contains("Run 'podnet-exporter uninstall' in it", error, StringComparison.Ordinal);
        Assert.Contains("podnet_", second.Filters(), StringComparison.Ordinal);
        second.Run(ExporterProcess.Binary, ["uninstall", .. node.Options]);
        Assert.DoesNotContain("podnet_", second.Filters(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_folder_of_a_namespace_that_is_gone_is_removed_by_the_next_start_and_one_that_exists_is_kept()
    {
        using var node = new PinnedNode();
        using var alive = new SecondNode(node);
        string gone;
        using (var second = new SecondNode(node))
        {
            gone = second.Folder;
            foreach (var one in (SecondNode[])[second, alive])
            {
                using var exporter = one.Launch();
                await one.WaitForPodAsync(exporter);
                exporter.Kill();
            }
        }
        // The kernel takes a namespace apart some time after its last user has gone.
        using (var living = NetworkNamespaceList.Load())
        {
            SpinWait.SpinUntil(() => living.Contains(NetworkNamespaceId.TryParse(Path.GetFileName(gone))!) == false, TimeSpan.FromMinutes(1));
        }

        using var next = await node.StartAsync();

        Assert.False(Directory.Exists(gone));
        Assert.True(Directory.Exists(alive.Folder));
        Assert.Equal(0, (await next.ScrapeAsync())["podnet_exporter_undecided_pin_directories"]);
        Assert.Contains(next.Log, line => line.Contains("Removed the pins of 1 network namespaces", StringComparison.Ordinal));
    }

    [Fact]
    public void The_kernel_s_list_has_the_namespaces_that_exist_and_no_other()
    {
        using var list = NetworkNamespaceList.Load();
        using var other = new NetworkNamespace("listed");
        var own = NetworkNamespaceId.ReadOwn();

        Assert.True(list.Contains(own));
        Assert.True(list.Contains(new(NetworkNamespaceId.ReadOwnInode()!.Value, IsInode: true)));
        Assert.True(list.Contains(other.Run(NetworkNamespaceId.ReadOwn)));
        Assert.False(list.Contains(new(ulong.MaxValue - 1, IsInode: false)));
        Assert.False(list.Contains(new(1, IsInode: true)));
    }

    /// <summary>Another network namespace that is a node: it has a pod of its own.</summary>
    private sealed class SecondNode : IDisposable
    {
        private static int s_number;

        private readonly int _number = Interlocked.Increment(ref s_number);
        private readonly PinnedNode _node;
        private readonly NetworkNamespace _host;
        private readonly NetworkNamespace _pod;
        private readonly int _port = ExporterProcess.FreePort();

        internal SecondNode(PinnedNode node)
        {
            _node = node;
            _host = new($"node{_number}");
            _pod = new($"inner{_number}");
            _host.Ip($"link add veth0 type veth peer name eth0 netns {_pod.Name}");
            _host.Ip("link set veth0 addrgenmode none");
            _pod.Ip("link set eth0 addrgenmode none");
            Folder = Path.Combine(node.Pins, _host.Run(NetworkNamespaceId.ReadOwn).Name);
        }

        internal string Folder { get; }

        internal ExporterProcess Launch() => ExporterProcess.LaunchBehind(
            _port, ["ip", "netns", "exec", _host.Name], _node.Options);

        internal string Run(string program, params string[] arguments) => _host.Exec([program, .. arguments]);

        internal string Filters() => Run("tc", "filter", "show", "dev", "veth0", "ingress") + Run("tc", "filter", "show", "dev", "veth0", "egress");

        /// <summary>Waits until the pod's interface is attached, and brings it up.</summary>
        internal async Task WaitForPodAsync(ExporterProcess exporter)
        {
            await exporter.WaitUntilRunningAsync();
            await WaitUntilAsync(metrics => metrics["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
            _host.Ip("addr replace 10.77.0.1/30 dev veth0");
            _host.Ip("link set veth0 up");
            _pod.Ip("addr replace 10.77.0.2/30 dev eth0");
            _pod.Ip("link set eth0 up");
        }

        internal void Send(int datagrams)
        {
            using var socket = _host.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            for (var i = 0; i < datagrams; i++)
            {
                socket.SendTo(new byte[100], new System.Net.IPEndPoint(System.Net.IPAddress.Parse("10.77.0.2"), 9));
            }
        }

        /// <summary>What was counted is what the interface has.</summary>
        internal Task AssertExactAsync() => WaitUntilAsync(metrics =>
            metrics.Sum("podnet_receive_packets_total") == Counter("tx") && metrics.Sum("podnet_transmit_packets_total") == Counter("rx"));

        public void Dispose()
        {
            _pod.Dispose();
            _host.Dispose();
        }

        private double Counter(string side) =>
            double.Parse(Run("cat", $"/sys/class/net/veth0/statistics/{side}_packets"), CultureInfo.InvariantCulture);

        /// <summary>The port is one of the other namespace's loopback interface.</summary>
        private async Task WaitUntilAsync(Func<MetricSamples, bool> wanted)
        {
            var started = Stopwatch.GetTimestamp();
            while (true)
            {
                var text = Run("curl", "--silent", $"http://127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}/metrics");
                if (wanted(new(text)))
                {
                    return;
                }
                Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(2), text);
                await Task.Delay(20);
            }
        }
    }
}
