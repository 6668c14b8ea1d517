using System.Net.Sockets;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Filters of clsact: where they can be, and which exporter may remove them.</summary>
public sealed class FilterOwnerTests
{
    private const string Attached = "podnet_exporter_interfaces{state=\"attached\"}";
    private const string Failed = "podnet_exporter_interfaces{state=\"failed\"}";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task On_a_qdisc_of_the_kind_ingress_only_what_the_pod_transmits_is_counted_and_egress_is_reported(bool pinned)
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var pod = new Pod();
        Shell.Tc($"qdisc add dev {pod.Interface} ingress");
        string[] more = pinned ? [] : ["--Bpf:PinDirectory="];
        for (var start = 0; start < 3; start++)
        {
            using var exporter = await node.StartAsync(more);
            var samples = await exporter.ScrapeUntilAsync(samples => samples[Failed] == 1);
            Assert.True(samples["podnet_exporter_attach_errors_total{reason=\"eopnotsupp\"}"] > 0);
            await exporter.WaitForLogAsync("ingress, which has no egress");
            Assert.Equal(["podnet_transmit"], CountedPrograms(pod, TcDirection.Ingress));
            if (start == 0)
            {
                pod.Up();
                TestTraffic.Udp(pod, AddressFamily.InterNetwork, 40, 100, fromPod: true);
                TestTraffic.Udp(pod, AddressFamily.InterNetwork, 30, 100, fromPod: false);
                samples = await exporter.ScrapeUntilAsync(samples => samples.Traffic(pod.Name).TransmittedPackets == pod.ReadCounters().TransmittedPackets);
                Assert.Equal(40, samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\""));
                Assert.Equal(0UL, samples.Traffic(pod.Name).ReceivedPackets);
            }
            exporter.Kill();
        }

        Assert.Equal(0, node.Uninstall().ExitCode);

        Assert.Empty(CountedPrograms(pod, TcDirection.Ingress));
        Assert.Contains("qdisc ingress", Shell.Tc($"qdisc show dev {pod.Interface}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("clsact", "")]
    [InlineData("tcx", "")]
    [InlineData("clsact", "other")]
    [InlineData("tcx", "other")]
    public async Task An_exporter_of_no_or_another_directory_leaves_the_filters_of_a_stopped_one(string hook, string directory)
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            Assert.Equal(0, first.Terminate());
        }
        string[] options = [$"--Attach:Hook={hook}", $"--Bpf:PinDirectory={(directory.Length > 0 ? Path.Combine(node.MountPoint, directory) : "")}"];
        using (var other = await ExporterProcess.StartAsync(options))
        {
            await other.ScrapeUntilAsync(samples => samples[Attached] == 1);
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 500, 100, fromPod: true);
            Assert.Equal(0, other.Terminate());
        }
        Assert.Equal(0, ExporterProcess.Run(["uninstall", .. options]).ExitCode);
        Assert.Equal(["podnet_transmit"], CountedPrograms(pod, TcDirection.Ingress));

        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, pod);
    }

    [Fact]
    public async Task Filters_of_an_exporter_whose_directory_is_hidden_by_another_mount_are_found_by_the_next_and_by_uninstall()
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var pod = new Pod();
        for (var mounts = 0; mounts < 3; mounts++)
        {
            using (var exporter = await node.StartAsync())
            {
                await exporter.WaitForAttachedAsync(pod.Interface);
                exporter.Kill();
            }
            Assert.Equal(["podnet_transmit"], CountedPrograms(pod, TcDirection.Ingress));
            Assert.Equal(["podnet_receive"], CountedPrograms(pod, TcDirection.Egress));
            node.Hide();
        }

        Assert.Equal(0, node.Uninstall().ExitCode);

        Assert.Empty(CountedPrograms(pod, TcDirection.Ingress));
        Assert.Empty(CountedPrograms(pod, TcDirection.Egress));
    }

    /// <summary>Their names are all that it takes to say whose they are, and say less.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Filters_that_an_earlier_version_named_are_taken_over_by_its_directory_and_by_no_other_exporter(bool otherFirst)
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            first.Kill();
        }
        node.MakeEarlierVersion(pod);
        if (otherFirst)
        {
            using var other = await ExporterProcess.StartAsync("--Attach:Hook=clsact");
            await other.ScrapeUntilAsync(samples => samples[Attached] == 1);
            Assert.Equal(0, other.Terminate());
        }
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 77, 100, fromPod: true);

        using var exporter = await node.StartAsync();

        await PinnedNode.AssertExactAsync(exporter, pod);
        Assert.Equal(["podnet_transmit"], CountedPrograms(pod, TcDirection.Ingress));
        Assert.Contains(Names(pod, TcDirection.Ingress), name => name.EndsWith($" pinned {node.Pins}", StringComparison.Ordinal));
    }

    /// <summary>The programs of our filters, of whichever exporter.</summary>
    private static List<string> CountedPrograms(Pod pod, TcDirection direction) => [.. Names(pod, direction).Select(name => name.Split(' ', ':')[0])];

    private static IEnumerable<string> Names(Pod pod, TcDirection direction)
    {
        using var client = new TcClient();
        return [.. client.GetFilters(pod.Ifindex, direction).Select(filter => filter.Name).Where(name => name.StartsWith("podnet_", StringComparison.Ordinal))];
    }
}
