using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>
/// Over a whole file of records, flows and rests of an interface are its own counters, to the packet and the byte. PODNET_FLOW_PACKETS sends more from each of two CPUs.
/// </summary>
public sealed class FlowExactnessTests
{
    private const string Often = "--Flows:Interval=00:00:00.2";

    private const int SctpProtocol = 132;

    private static readonly int Packets = EnvironmentNumber.Read("PODNET_FLOW_PACKETS") ?? 500_000;

    /// <summary>More than a packet may have: both families make fragments of it.</summary>
    private const int Fragmented = 20_000;

    public static TheoryData<string, string> HooksAndOffloads => new MatrixTheoryData<string, string>(["tcx", "clsact"], ["on", "off"]);

    [Theory]
    [MemberData(nameof(HooksAndOffloads))]
    public async Task Flows_and_rests_of_every_kind_of_traffic_are_the_interface_s_counters(string hook, string offloads)
    {
        using var node = new FlowNode(Often, $"--Attach:Hook={hook}");
        using var exporter = await node.StartAsync();
        using var one = await exporter.AddPodAsync();
        using var other = await exporter.AddPodAsync();
        Shell.Run("ethtool", "-K", one.Interface, "tso", offloads, "gso", offloads);
        one.Namespace.Exec("ethtool", "-K", "eth0", "tso", offloads, "gso", offloads);

        foreach (var family in (AddressFamily[])[AddressFamily.InterNetwork, AddressFamily.InterNetworkV6])
        {
            TestTraffic.Tcp(one, family, 1L << 27);
            TestTraffic.Tcp(other, family, 1L << 22);
            TestTraffic.Udp(one, family, 100_000, 100, fromPod: true);
            TestTraffic.Udp(one, family, 100_000, 100, fromPod: false);
            TestTraffic.Udp(one, family, 300, Fragmented, fromPod: true);
            TestTraffic.Udp(other, family, 300, Fragmented, fromPod: false);
        }
        Shell.Run("ping", "-q", "-f", "-c", "5000", one.Address.ToString());
        other.Namespace.Exec("ping", "-q", "-f", "-c", "5000", "-s", "4000", other.HostAddress6.ToString());
        SendCrafted(one, rounds: 500);

        await node.AssertExactAsync(exporter, one, other);
        var records = node.Records;
        Assert.All(["tcp", "udp", "icmp", "ipv6-icmp", "sctp"], transport => Assert.Contains(records.Flows, flow => flow.Text("network.transport") == transport));
        Assert.All(["ipv4", "ipv6"], type => Assert.Contains(records.Flows, flow => IsFragment(flow) && flow.Text("network.type") == type));
        Assert.All(["transmit", "receive"], direction => Assert.Contains(
            records.Rests, rest => rest.Text("rest.reason") == "not_ip" && rest.Text("rest.direction") == direction && rest.Number("rest.packets") >= 500));
        Assert.True(records.Intervals.Count() > 5, $"only {records.Intervals.Count()} intervals");
        // Its end is the end of the last interval.
        Assert.Equal(0, exporter.Terminate());
        records.Read();
        records.AssertComplete();
    }

    /// <summary>A VLAN device in the pod: its frames have a tag, which the kernel takes off before TC sees what the pod sent.</summary>
    [Fact]
    public async Task Flows_and_rests_of_a_VLAN_device_in_the_pod_are_the_interface_s_counters()
    {
        using var node = new FlowNode(Often);
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        Assert.SkipUnless(Shell.TryRun("ip", "-n", pod.Name, "link", "add", "link", "eth0", "name", "vlan7", "type", "vlan", "id", "7").ExitCode == 0, "the kernel has no VLAN devices");
        Shell.Ip($"link add link {pod.Interface} name pntvlan7 type vlan id 7");
        Shell.Ip("addr add 10.199.7.1/30 dev pntvlan7");
        Shell.Ip("link set pntvlan7 up");
        pod.Namespace.Ip("addr add 10.199.7.2/30 dev vlan7");
        pod.Namespace.Ip("link set vlan7 up");

        pod.Namespace.Exec("ping", "-q", "-f", "-c", "2000", "-s", "3000", "10.199.7.1");
        Shell.Run("ping", "-q", "-f", "-c", "2000", "10.199.7.2");

        await node.AssertExactAsync(exporter, pod);
        Assert.Contains(node.Records.Flows, flow => flow.Text("source.ip") == "10.199.7.2" && flow.Text("icmp.type") == "8");
    }

    [Fact]
    public async Task An_association_of_SCTP_is_one_flow_with_its_ports()
    {
        using var node = new FlowNode(Often);
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        using var listener = OpenSctp(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, (ProtocolType)SctpProtocol));
        listener.Bind(new IPEndPoint(pod.HostAddress, 0));
        listener.Listen();
        using var client = pod.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, (ProtocolType)SctpProtocol);
        client.Connect(listener.LocalEndPoint!);
        using (var server = listener.Accept())
        {
            client.Send(new byte[1000]);
            _ = server.Receive(new byte[1000]);
        }

        await node.AssertExactAsync(exporter, pod);
        var flow = Assert.Single(node.Records.Flows.Where(flow => flow.Text("network.transport") == "sctp").DistinctBy(flow => flow.Tuple));
        Assert.Equal(listener.Port(), flow.Number("destination.port"));
    }

    [Theory]
    [InlineData(1, "map_full")]
    [InlineData(3, "pod_full")]
    public async Task With_64_flows_and_5000_connections_the_rests_have_what_the_flows_have_not(int pods, string reason)
    {
        const int Connections = 5000;
        using var node = new FlowNode(Often, "--Flows:MaxFlows=64");
        using var exporter = await node.StartAsync();
        using var all = new Disposables<Pod>([.. await Task.WhenAll(Enumerable.Range(0, pods).Select(_ => exporter.AddPodAsync()))]);
        using var server = TcpSockets.Listen(null, backlog: 1024);

        for (var i = 0; i < Connections; i++)
        {
            using var client = TcpSockets.Open(all.All[0]);
            client.WithReset().Connect(all.All[0].HostAddress, server.Port());
            using var accepted = server.Accept();
            client.Send(new byte[100]);
        }

        await node.AssertExactAsync(exporter, [.. all.All]);
        var (flows, rests) = (node.Records.Flows.ToList(), node.Records.Rests.ToList());
        Assert.All(flows.GroupBy(flow => flow.Interval), interval => Assert.InRange(interval.Count(), 1, 64));
        Assert.Contains(rests, rest => rest.Text("rest.reason") == reason && rest.Text("rest.direction") == "transmit");
        Assert.Contains(rests, rest => rest.Text("rest.reason") == reason && rest.Text("rest.direction") == "receive");
        var samples = await exporter.ScrapeAsync();
        Assert.Equal(
            rests.Where(rest => rest.Text("rest.reason") == reason).Sum(rest => rest.Number("rest.packets")),
            samples[$"podnet_exporter_flow_unrecorded_packets_total{{reason=\"{reason}\"}}"]);
    }

    [Fact]
    public async Task Two_senders_on_two_CPUs_into_one_flow_are_counted_to_the_packet_and_the_byte()
    {
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(60).ToArray();
        using var node = new FlowNode(Often);
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();

        Thread[] senders = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() => Send(pod, frame, Packets)))];
        Array.ForEach(senders, sender => sender.Start());
        Array.ForEach(senders, sender => sender.Join());

        await node.AssertExactAsync(exporter, pod);
        var flows = node.Records.Flows.Where(flow => flow.Text("source.ip") == "10.0.0.1").ToList();
        Assert.Single(flows.Select(flow => flow.Tuple).Distinct());
        Assert.Equal(flows.Count, flows.Select(flow => flow.Interval).Distinct().Count());
        Assert.Equal(2L * Packets, flows.Sum(flow => flow.Number("source.packets")));
        Assert.Equal(2L * Packets * frame.Length, flows.Sum(flow => flow.Number("source.bytes")));
        Assert.True(flows.Count > 3, $"only {flows.Count} intervals");
    }

    private static void Send(Pod pod, byte[] frame, int packets)
    {
        using var socket = FrameSocket.Open(pod.Namespace, "eth0");
        for (var sent = 0; sent < packets;)
        {
            sent += socket.TrySend(frame) ? 1 : 0;
        }
    }

    /// <summary>Tags, rare protocols, fragments of them, and ARP.</summary>
    private static void SendCrafted(Pod pod, int rounds)
    {
        byte[][] frames =
        [
            .. CraftedFrames.All(pod),
            Packet.Ethernet().Arp().ToArray(),
            Packet.Ethernet().Ipv4(fragmentOffset: 1480).Sctp().Bytes(300).ToArray(),
            Packet.Ethernet().Vlan().Ipv6().Fragment(1232, moreFragments: false).Protocol(SctpProtocol).Bytes(300).ToArray(),
            Packet.Ethernet().ServiceVlan().Vlan().Ipv6().Udp().Bytes(300).ToArray(),
        ];
        using var fromPod = FrameSocket.Open(pod.Namespace, "eth0");
        using var fromHost = FrameSocket.Open(null, pod.Interface);
        for (var round = 0; round < rounds; round++)
        {
            foreach (var frame in frames)
            {
                fromPod.Send(frame);
                fromHost.Send(frame);
            }
        }
    }

    private static bool IsFragment(FlowLine flow) => flow.Text("network.transport") == "udp" && !flow.Has("source.port");

    private static Socket OpenSctp(Func<Socket> open)
    {
        try
        {
            return open();
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ProtocolNotSupported or SocketError.SocketNotSupported)
        {
            Assert.Skip(string.Create(CultureInfo.InvariantCulture, $"the kernel has no SCTP: {e.SocketErrorCode}"));
            throw;
        }
    }
}
