using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>What an interface has carried was counted, or missed: each packet one of both.</summary>
public sealed class MissedPacketsTests
{
    [Theory]
    [InlineData("ingress")]
    [InlineData("egress")]
    [InlineData("ingress", "egress")]
    public async Task Packets_from_while_the_programs_were_removed_are_missed_and_no_others(params string[] directions)
    {
        using var exporter = await ExporterProcess.StartAsync("--Attach:Hook=clsact", "--Attach:CoverageInterval=00:00:01");
        using var pod = await exporter.AddPodAsync();
        Send(pod, 3000);
        await PinnedNode.AssertExactAsync(exporter, pod);

        Remove(pod, directions);
        var sent = 0;
        while (!exporter.Log.Any(line => line.Contains("Another process removed the programs on", StringComparison.Ordinal)))
        {
            Send(pod, 1);
            sent++;
            await exporter.ScrapeAsync();
        }
        await exporter.WaitForAttachedAsync(pod.Interface);
        Send(pod, 1000);

        await AssertCompleteAsync(exporter, pod);
        // And some of ARP and neighbour discovery.
        Assert.InRange(Missed(await exporter.ScrapeAsync(), directions[0] == "ingress" ? "transmit" : "receive"), 2, sent + 100);
    }

    [Fact]
    public async Task Packets_from_while_no_exporter_ran_and_the_programs_were_removed_are_missed_and_no_others()
    {
        using var node = new PinnedNode("--Attach:Hook=clsact");
        using var pod = new Pod();
        await node.CountAndKillAsync(pod, 3000);
        Send(pod, 40);
        Remove(pod, "ingress", "egress");
        Send(pod, 19);

        using var exporter = await node.StartAsync();

        await exporter.WaitForAttachedAsync(pod.Interface);
        await AssertCompleteAsync(exporter, pod);
        Assert.InRange(Missed(await exporter.ScrapeAsync(), "transmit"), 19, 39);
    }

    [Fact]
    public async Task Over_a_restart_in_which_nothing_was_removed_no_packet_is_missed()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        await node.CountAndKillAsync(pod, 300);
        Send(pod, 40);

        using var exporter = await node.StartAsync();

        await PinnedNode.AssertExactAsync(exporter, pod);
        Assert.Equal(0, (await exporter.ScrapeAsync()).Sum("podnet_exporter_unattached_packets_total"));
    }

    private static void Send(Pod pod, int datagrams)
    {
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, datagrams, 100, fromPod: true);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, datagrams, 100, fromPod: false);
    }

    private static void Remove(Pod pod, params string[] directions)
    {
        foreach (var direction in directions)
        {
            Shell.Tc($"filter delete dev {pod.Interface} {direction}");
        }
    }

    private static double Missed(MetricSamples samples, string direction) => samples.Sum("podnet_exporter_unattached_packets_total", $"direction=\"{direction}\"");

    private static Task<MetricSamples> AssertCompleteAsync(ExporterProcess exporter, Pod pod) => exporter.ScrapeUntilAsync(samples =>
    {
        var (counted, kernel) = (samples.Traffic(pod.Name), pod.ReadCounters());
        return counted.TransmittedPackets + Missed(samples, "transmit") == kernel.TransmittedPackets
            && counted.ReceivedPackets + Missed(samples, "receive") == kernel.ReceivedPackets + kernel.ReceiveDropped;
    });
}
