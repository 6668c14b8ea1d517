using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>An interface is known by more than what the next one can have, too.</summary>
public sealed class InterfaceIdentityTests
{
    private const string Veth = "pntsame";
    private const int Datagrams = 120;

    [Theory]
    [InlineData("auto")]
    [InlineData("off")]
    public async Task An_interface_that_took_over_everything_of_a_dead_pods_while_no_exporter_ran_is_its_own_pods(string handshakes)
    {
        using var node = new PinnedNode($"--Handshake:Hook={handshakes}");
        var dead = new NetworkNamespace("dead");
        using (var first = await node.StartAsync())
        {
            Connect(dead);
            await first.WaitForAttachedAsync(Veth);
            Send(dead, Datagrams);
            await first.ScrapeUntilAsync(samples => Sent(samples, dead) == Datagrams);
            first.Kill();
        }
        Shell.Ip($"link delete {Veth}");
        dead.Dispose();
        using var heir = new NetworkNamespace("heir");
        Connect(heir);

        using var exporter = await node.StartAsync();

        await exporter.GetPodsUntilAsync(pods => pods.Interfaces(heir.Name).Contains(Veth));
        await exporter.WaitForAttachedAsync(Veth);
        Send(heir, Datagrams);
        var samples = await exporter.ScrapeUntilAsync(samples => Sent(samples, heir) == Datagrams);
        Assert.Equal(Datagrams, Sent(samples, dead));
        Shell.Ip($"link delete {Veth}");
    }

    [Theory]
    [InlineData("tcx", true)]
    [InlineData("tcx", false)]
    [InlineData("clsact", true)]
    [InlineData("clsact", false)]
    public async Task An_interface_whose_other_end_moves_to_another_namespace_is_another_pods(string hook, bool isRunning)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        var old = new NetworkNamespace("left");
        using var next = new NetworkNamespace("entered");
        var exporter = await node.StartAsync();
        try
        {
            Connect(old);
            await exporter.WaitForAttachedAsync(Veth);
            Send(old, Datagrams);
            await exporter.ScrapeUntilAsync(samples => Sent(samples, old) == Datagrams);
            if (!isRunning)
            {
                exporter.Kill();
                exporter.Dispose();
            }

            // The namespace's id is free for the next one before anybody has looked.
            old.Ip($"link set eth0 netns {next.Name}");
            old.Dispose();
            Up(next);
            if (!isRunning)
            {
                // Not decidable whose: from while no exporter ran.
                Send(next, Datagrams);
                exporter = await node.StartAsync();
            }

            await exporter.GetPodsUntilAsync(pods => pods.Interfaces(next.Name).Contains(Veth));
            await exporter.WaitForAttachedAsync(Veth);
            Send(next, Datagrams);
            var samples = await exporter.ScrapeUntilAsync(samples => Sent(samples, next) == Datagrams);
            Assert.Equal(Datagrams, Sent(samples, old));
            // With them goes what asks for the address.
            var unattributed = samples.Sum("podnet_exporter_unattributed_packets_total", "direction=\"transmit\"");
            Assert.InRange(unattributed, isRunning ? 0 : Datagrams, isRunning ? 0 : Datagrams + 4);
        }
        finally
        {
            exporter.Dispose();
            Shell.TryRun("ip", "link", "delete", Veth);
        }
    }

    [Fact]
    public async Task An_interface_that_stays_is_the_same_over_a_restart()
    {
        using var node = new PinnedNode();
        using var own = new NetworkNamespace("own");
        using (var first = await node.StartAsync())
        {
            Connect(own);
            await first.WaitForAttachedAsync(Veth);
            first.Kill();
        }
        Shell.Ip($"link set {Veth} down");
        Shell.Ip($"link set {Veth} name pntother address ee:ee:ee:ee:ee:01");
        Shell.Ip("link set pntother up");
        Pod.WaitForCarrier("pntother");
        Send(own, Datagrams);

        using var exporter = await node.StartAsync();

        var samples = await exporter.ScrapeUntilAsync(samples => Sent(samples, own) == Datagrams);
        Assert.Equal(0, samples.Sum("podnet_exporter_unattributed_packets_total"));
        Assert.Equal(0, samples["podnet_exporter_unproven_interfaces_total"]);
        Shell.Ip("link delete pntother");
    }

    /// <summary>With an index and a hardware address of its own choice, as Calico's; IPv6 off, so that nothing but the datagrams is sent.</summary>
    private static void Connect(NetworkNamespace pod)
    {
        Shell.Ip($"link add {Veth} index 7001 address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns {pod.Name}");
        Shell.Ip($"link set {Veth} addrgenmode none");
        Shell.Ip($"addr add 10.99.0.1/30 dev {Veth}");
        Shell.Ip($"link set {Veth} up");
        Up(pod);
    }

    private static void Up(NetworkNamespace pod)
    {
        pod.Ip("link set eth0 addrgenmode none");
        pod.Ip("addr replace 10.99.0.2/30 dev eth0");
        pod.Ip("link set eth0 up");
        Pod.WaitForCarrier(Veth);
    }

    private static void Send(NetworkNamespace pod, int datagrams)
    {
        using var socket = pod.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        var to = new System.Net.IPEndPoint(System.Net.IPAddress.Parse("10.99.0.1"), 9);
        for (var i = 0; i < datagrams; i++)
        {
            try
            {
                socket.SendTo(new byte[100], to);
            }
            catch (SocketException)
            {
                // The port is closed, which the one before was answered; this one was not sent.
                i--;
            }
        }
    }

    private static double Sent(MetricSamples samples, NetworkNamespace pod) =>
        samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\"");
}
