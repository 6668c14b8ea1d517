using System.Buffers.Binary;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Flows;

namespace Exporter.Kernel.Tests;

/// <summary>Which flow the programs count a packet in (BPF_PROG_TEST_RUN).</summary>
public sealed class FlowProgramTests : IClassFixture<FlowRuns>
{
    private const int Loopback = 1;

    private readonly FlowRuns _runs;

    public FlowProgramTests(FlowRuns runs)
    {
        _runs = runs;
        _runs.Clear();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_flow_has_the_pods_end_and_the_other_one(bool transmit)
    {
        _runs.Run(transmit, WithPorts(Packet.Ethernet().Ipv4().Tcp(), 4000, 80), new(Loopback));
        _runs.Run(!transmit, WithPorts(Packet.Ethernet().Ipv4().Tcp().Bytes(5), 80, 4000, swap: true), new(Loopback));

        var (key, value) = Assert.Single(_runs.Take().Flows);

        Assert.Equal((transmit ? "10.0.0.1" : "10.0.0.2", transmit ? "10.0.0.2" : "10.0.0.1"), (Text(key.Local, key.Family), Text(key.Remote, key.Family)));
        Assert.Equal(transmit ? (4000, 80) : (80, 4000), (Port(key.LocalPort), Port(key.RemotePort)));
        Assert.Equal((FlowKey.Ipv4, 6, Loopback), (key.Family, key.Protocol, key.Ifindex));
        Assert.Equal(transmit, value.IsFromPod);
        var (first, second) = transmit ? (value.Transmit, value.Receive) : (value.Receive, value.Transmit);
        Assert.Equal((1ul, 54ul, 1ul), (first.Packets, first.Bytes, first.Segments));
        Assert.Equal((1ul, 59ul, 1ul), (second.Packets, second.Bytes, second.Segments));
        Assert.NotEqual(0u, first.First);
        Assert.True(second.Last - first.First < 1000);
    }

    [Fact]
    public void Each_flag_of_TCP_is_remembered_and_SYNs_are_connections_by_their_sequence_numbers()
    {
        for (var bit = 0; bit < 8; bit++)
        {
            _runs.Run(true, Tcp(1 << bit, sequence: 77), new(Loopback));
        }
        _runs.Run(true, Tcp(0x02, sequence: 77), new(Loopback));
        _runs.Run(true, Tcp(0x02, sequence: 78), new(Loopback));
        _runs.Run(true, Tcp(0x12, sequence: 79), new(Loopback));

        var half = Assert.Single(_runs.Take().Flows).Value.Transmit;

        Assert.Equal(0xff, half.Flags.Bits);
        Assert.Equal((4u, 1u, 78u, 2u), (half.Syns, half.Resets, half.InitialSeq, half.Connections));
    }

    [Fact]
    public void ICMP_requests_and_their_replies_are_one_flow_and_errors_are_flows_of_their_own()
    {
        _runs.Run(true, Icmp(Packet.Ethernet().Ipv4().Icmp(), type: 8, code: 0), new(Loopback));
        _runs.Run(false, Icmp(Packet.Ethernet().Ipv4().Icmp(), type: 0, code: 0, swap: true), new(Loopback));
        _runs.Run(false, Icmp(Packet.Ethernet().Ipv4().Icmp(), type: 3, code: 1, swap: true), new(Loopback));

        var flows = _runs.Take().Flows;

        Assert.Equal([(8, 0, 1ul, 1ul), (0x101, 3, 0ul, 1ul)], flows.OrderBy(flow => flow.Key.RemotePort).Select(flow =>
            (Port(flow.Key.LocalPort), Port(flow.Key.RemotePort), flow.Value.Transmit.Packets, flow.Value.Receive.Packets)));
    }

    /// <summary>A type can be another message's code.</summary>
    [Theory]
    [InlineData(3, 3, 3, 3)]
    [InlineData(3, 5, 5, 3)]
    public void What_a_pod_reports_by_ICMP_is_another_flow_than_what_is_reported_to_it(byte sentType, byte sentCode, byte receivedType, byte receivedCode)
    {
        _runs.Run(true, Icmp(Packet.Ethernet().Ipv4().Icmp(), sentType, sentCode), new(Loopback));
        _runs.Run(false, Icmp(Packet.Ethernet().Ipv4().Icmp(), receivedType, receivedCode, swap: true), new(Loopback));

        var flows = _runs.Take().Flows;

        Assert.Equal([(0ul, 1ul), (1ul, 0ul)], flows.Select(flow => (flow.Value.Transmit.Packets, flow.Value.Receive.Packets)).Order());
        Assert.Single(flows, flow => (byte)Port(flow.Key.LocalPort) == sentType && (byte)Port(flow.Key.RemotePort) == sentCode && flow.Value.Transmit.Packets == 1);
    }

    [Fact]
    public void A_later_fragment_has_no_ports_and_what_is_not_IP_is_in_no_flow()
    {
        _runs.Run(true, Packet.Ethernet().Ipv4(fragmentOffset: 8).Protocol(17).Bytes(40).ToArray(), new(Loopback));
        _runs.Run(true, Packet.Ethernet().Ipv6().Fragment(8, true).Protocol(17).Bytes(40).ToArray(), new(Loopback));
        _runs.Run(true, Packet.Ethernet().Arp().ToArray(), new(Loopback));

        var counts = _runs.Take();

        Assert.Equal([(FlowKey.Ipv4, 0, 0), (FlowKey.Ipv6, 0, 0)], counts.Flows.Select(flow => (flow.Key.Family, (int)flow.Key.LocalPort, (int)flow.Key.RemotePort)).Order());
        Assert.Equal(1ul, counts.Unrecorded(Loopback, true, reason: 5));
        counts.AssertAddUp(Loopback);
    }

    [Fact]
    public void A_full_map_counts_in_the_rest_and_no_packet_is_missed()
    {
        using var runs = new FlowRuns(new(true, TimeSpan.FromSeconds(10), MaxFlows: 64, MaxFlowsPerPod: 100, Sampling: 1));

        for (var port = 1; port <= 200; port++)
        {
            runs.Run(true, WithPorts(Packet.Ethernet().Ipv4().Udp(), port, 53), new(Loopback));
        }

        var counts = runs.Take();
        Assert.Equal(64, counts.Flows.Count);
        Assert.Equal(136ul, counts.Unrecorded(Loopback, true, reason: 0));
        counts.AssertAddUp(Loopback);
    }

    /// <summary>The fourth's flows come last, when the others have filled all that they may.</summary>
    [Fact]
    public void An_interface_has_a_quarter_of_an_equal_share_however_many_flood()
    {
        using var runs = new FlowRuns(new(true, TimeSpan.FromSeconds(10), MaxFlows: 1024, MaxFlowsPerPod: 50, Sampling: 1), interfaces: 4);
        using var pods = new Disposables<Pod>([.. Enumerable.Range(0, 4).Select(_ => new Pod())]);
        int[] interfaces = [.. pods.All.Select(pod => pod.Ifindex)];

        for (var port = 1; port <= 2000; port++)
        {
            foreach (var ifindex in interfaces[..3])
            {
                runs.Run(port % 2 == 0, WithPorts(Packet.Ethernet().Ipv4().Udp(), port, 53), new(ifindex));
            }
        }
        for (var port = 1; port <= 64; port++)
        {
            runs.Run(true, WithPorts(Packet.Ethernet().Ipv4().Udp(), port, 53), new(interfaces[3]));
        }

        var counts = runs.Take();
        Assert.Equal(64, counts.Flows.Count(flow => flow.Key.Ifindex == interfaces[3]));
        Assert.InRange(counts.Flows.Count, 512, 1024);
        Assert.All(interfaces, counts.AssertAddUp);
        Assert.All(interfaces[..3], ifindex => Assert.NotEqual(0ul, counts.Unrecorded(ifindex, true, reason: 3)));
    }

    [Fact]
    public void Both_ends_choose_the_same_connections()
    {
        using var runs = new FlowRuns(new(true, TimeSpan.FromSeconds(10), MaxFlows: 4096, MaxFlowsPerPod: 100, Sampling: 10));
        HashSet<(int, int)> sent = [], received = [];

        for (var port = 1000; port < 3000; port++)
        {
            runs.Run(true, WithPorts(Packet.Ethernet().Ipv4().Tcp(), port, 80), new(Loopback));
        }
        var counts = runs.Take();
        counts.AssertAddUp(Loopback);
        sent.UnionWith(counts.Flows.Select(flow => (Port(flow.Key.LocalPort), Port(flow.Key.RemotePort))));
        for (var port = 1000; port < 3000; port++)
        {
            runs.Run(false, WithPorts(Packet.Ethernet().Ipv4().Tcp(), port, 80), new(Loopback));
        }
        received.UnionWith(runs.Take().Flows.Select(flow => (Port(flow.Key.RemotePort), Port(flow.Key.LocalPort))));

        Assert.Equal(sent, received);
        Assert.InRange(sent.Count, 140, 260);
        Assert.Equal(2000ul - (ulong)sent.Count, counts.Unrecorded(Loopback, true, reason: 4));
    }

    private static byte[] Tcp(int flags, int sequence)
    {
        var packet = WithPorts(Packet.Ethernet().Ipv4().Tcp(), 4000, 80);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(38), sequence);
        packet[47] = (byte)flags;
        return packet;
    }

    private static byte[] Icmp(Packet packet, byte type, byte code, bool swap = false)
    {
        var bytes = Swap(packet.ToArray(), swap);
        (bytes[34], bytes[35]) = (type, code);
        return bytes;
    }

    private static byte[] WithPorts(Packet packet, int source, int destination, bool swap = false)
    {
        var bytes = Swap(packet.ToArray(), swap);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(34), (ushort)source);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(36), (ushort)destination);
        return bytes;
    }

    private static byte[] Swap(byte[] packet, bool swap)
    {
        if (swap)
        {
            byte[] source = packet[26..30];
            packet.AsSpan(30, 4).CopyTo(packet.AsSpan(26));
            source.CopyTo(packet.AsSpan(30));
        }
        return packet;
    }

    private static int Port(ushort port) => BinaryPrimitives.ReverseEndianness(port);

    private static string Text(in FlowAddressBytes address, byte family) => new System.Net.IPAddress(((ReadOnlySpan<byte>)address)[..(family == FlowKey.Ipv4 ? 4 : 16)]).ToString();
}

/// <summary>Random packets: each is once in a flow or a rest, with the tuple that an independent parser finds. PODNET_FUZZ_SEED repeats a failed run.</summary>
public sealed class FlowFuzzTests : IDisposable
{
    private const int Runs = 40_000;
    private const int Loopback = 1;

    private static readonly TimeSpan AtMost = TimeSpan.FromSeconds(10);

    private readonly FlowRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Random_bytes_are_in_their_flow() => Fuzz(RandomFrames.Bytes);

    [Fact]
    public void Random_chains_of_headers_are_in_their_flow() => Fuzz(RandomFrames.Headers);

    [Fact]
    public void Mutated_packets_are_in_their_flow() => Fuzz(RandomFrames.Mutated);

    private static SkbContext RandomContext(Random random) => random.Next(3) == 0 ? new(Loopback, random.Next(1, 1500), random.Next(5)) : new(Loopback);

    private void Fuzz(Func<Random, byte[]> next)
    {
        var flows = 0;
        var run = FrameFuzz.Run(Runs, AtMost, (random, _) => (next(random), new PacketRun(Context: RandomContext(random), IsTransmit: random.Next(2) == 0)), (packet, drawn) =>
        {
            var (transmit, context) = drawn;
            _runs.Run(transmit, packet, context);
            var counts = _runs.Take();
            counts.AssertAddUp(Loopback);
            if (TupleParser.Parse(packet, transmit) is { } tuple)
            {
                var (key, value) = Assert.Single(counts.Flows);
                Assert.Equal(tuple, TupleParser.Of(key));
                Assert.Equal(transmit, value.IsFromPod);
                flows++;
            }
            else
            {
                Assert.Empty(counts.Flows);
                Assert.Equal(1ul, counts.Unrecorded(Loopback, transmit, reason: 5));
            }
        });
        Assert.True(flows > run / 1000, $"only {flows} of {run} packets were in flows");
    }
}

/// <summary>Finds a frame's flow as the standards describe it, in plain C#.</summary>
internal static class TupleParser
{
    /// <summary>RFC 792, 950 and 1256, RFC 4443, 4861, 2710, 3775 and 4620: each type and the one that answers it.</summary>
    private static readonly (int Protocol, int Type, int Other)[] Pairs =
    [
        (1, 8, 0), (1, 10, 9), (1, 13, 14), (1, 15, 16), (1, 17, 18),
        (58, 128, 129), (58, 133, 134), (58, 135, 136), (58, 130, 131), (58, 144, 145), (58, 139, 140),
    ];

    internal static (string Local, string Remote, int LocalPort, int RemotePort, int Protocol)? Parse(ReadOnlySpan<byte> frame, bool transmit)
    {
        if (ReferenceParser.HeadersOf(frame) is not (var network, { } protocol, var start))
        {
            return null;
        }
        var length = frame[network] >> 4 == 4 ? 4 : 16;
        var source = new System.Net.IPAddress(frame.Slice(network + (length == 4 ? 12 : 8), length)).ToString();
        var destination = new System.Net.IPAddress(frame.Slice(network + (length == 4 ? 16 : 24), length)).ToString();
        var (from, to) = start is { } at && at + 4 <= frame.Length ? PortsOf(frame[at..], protocol) : (0, 0);
        return transmit ? (source, destination, from, to, protocol) : (destination, source, to, from, protocol);
    }

    internal static (string Local, string Remote, int LocalPort, int RemotePort, int Protocol) Of(in FlowKey key)
    {
        var length = key.Family == FlowKey.Ipv4 ? 4 : 16;
        return (
            new System.Net.IPAddress(((ReadOnlySpan<byte>)key.Local)[..length]).ToString(),
            new System.Net.IPAddress(((ReadOnlySpan<byte>)key.Remote)[..length]).ToString(),
            BinaryPrimitives.ReverseEndianness(key.LocalPort),
            BinaryPrimitives.ReverseEndianness(key.RemotePort),
            key.Protocol);
    }

    private static (int, int) PortsOf(ReadOnlySpan<byte> transport, int protocol)
    {
        switch (protocol)
        {
            case 6 or 17 or 33 or 132 or 136:
                return (BinaryPrimitives.ReadUInt16BigEndian(transport), BinaryPrimitives.ReadUInt16BigEndian(transport[2..]));
            case 1 or 58:
                int type = transport[0];
                foreach (var pair in Pairs)
                {
                    if (pair.Protocol == protocol && (pair.Type == type || pair.Other == type))
                    {
                        return (type, pair.Type == type ? pair.Other : pair.Type);
                    }
                }
                return (type, transport[1] | 0x100);
            default:
                return (0, 0);
        }
    }
}
