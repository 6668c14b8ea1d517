using System.Diagnostics;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>What both programs make of one packet (BPF_PROG_TEST_RUN).</summary>
public sealed class ProgramTests : IClassFixture<ProgramRuns>
{
    private const int TcpHeaders = Packet.EthernetLength + Packet.Ipv4Length + 20;

    /// <summary>Where a row of the map belongs; any index does.</summary>
    private const int Loopback = 1;

    private static readonly Dictionary<string, (Packet Packet, Transport Transport)> PacketCases = new()
    {
        ["TCP"] = (Packet.Ethernet().Ipv4().Tcp().Bytes(100), Transport.Tcp),
        ["TCP without a payload"] = (Packet.Ethernet().Ipv4().Tcp(), Transport.Tcp),
        ["TCP behind options of IPv4"] = (Packet.Ethernet().Ipv4(options: 40).Tcp(options: 40).Bytes(9), Transport.Tcp),
        ["UDP"] = (Packet.Ethernet().Ipv4().Udp().Bytes(100), Transport.Udp),
        ["UDP without a payload"] = (Packet.Ethernet().Ipv4().Udp(), Transport.Udp),
        ["ICMP"] = (Packet.Ethernet().Ipv4().Icmp().Bytes(56), Transport.Icmp),
        ["SCTP"] = (Packet.Ethernet().Ipv4().Sctp().Bytes(16), Transport.Sctp),
        ["ESP"] = (Packet.Ethernet().Ipv4().Esp().Bytes(64), Transport.Other),
        ["GRE"] = (Packet.Ethernet().Ipv4().Gre().Bytes(64), Transport.Other),
        ["AH over IPv4"] = (Packet.Ethernet().Ipv4().Authentication().Tcp(), Transport.Other),
        ["UDP in IPv4 in IPv4"] = (Packet.Ethernet().Ipv4().Ipv4().Udp().Bytes(8), Transport.Other),
        ["TCP in IPv6 in IPv4"] = (Packet.Ethernet().Ipv4().Ipv6().Tcp(), Transport.Other),
        ["Protocol 0 over IPv4"] = (Packet.Ethernet().Ipv4().Protocol(0).Bytes(20), Transport.Other),
        ["ICMPv6 over IPv4"] = (Packet.Ethernet().Ipv4().Icmpv6(), Transport.Icmp),

        ["TCP over IPv6"] = (Packet.Ethernet().Ipv6().Tcp().Bytes(100), Transport.Tcp),
        ["UDP over IPv6"] = (Packet.Ethernet().Ipv6().Udp().Bytes(100), Transport.Udp),
        ["ICMPv6"] = (Packet.Ethernet().Ipv6().Icmpv6().Bytes(56), Transport.Icmp),
        ["SCTP over IPv6"] = (Packet.Ethernet().Ipv6().Sctp().Bytes(16), Transport.Sctp),
        ["ESP over IPv6"] = (Packet.Ethernet().Ipv6().Esp().Bytes(64), Transport.Other),
        ["TCP in IPv4 in IPv6"] = (Packet.Ethernet().Ipv6().Ipv4().Tcp(), Transport.Other),
        ["TCP in IPv6 in IPv6"] = (Packet.Ethernet().Ipv6().Ipv6().Tcp(), Transport.Other),
        ["IPv6 with no next header"] = (Packet.Ethernet().Ipv6().Protocol(59).Bytes(20), Transport.Other),
        ["IPv6 with a mobility header"] = (Packet.Ethernet().Ipv6().Extension(135).Tcp(), Transport.Other),
        ["IPv6 that ends with its header"] = (Packet.Ethernet().Ipv6().Protocol(17), Transport.Udp),

        ["TCP behind hop-by-hop options"] = (Packet.Ethernet().Ipv6().HopByHop().Tcp(), Transport.Tcp),
        ["UDP behind long hop-by-hop options"] = (Packet.Ethernet().Ipv6().HopByHop(5).Udp(), Transport.Udp),
        ["UDP behind a routing header"] = (Packet.Ethernet().Ipv6().Routing(2).Udp(), Transport.Udp),
        ["SCTP behind destination options"] = (Packet.Ethernet().Ipv6().DestinationOptions(1).Sctp(), Transport.Sctp),
        ["TCP behind AH"] = (Packet.Ethernet().Ipv6().Authentication().Tcp(), Transport.Tcp),
        ["UDP behind a long AH and options"] = (Packet.Ethernet().Ipv6().Authentication(32).DestinationOptions().Udp(), Transport.Udp),
        ["ICMPv6 behind every extension header"] =
            (Packet.Ethernet().Ipv6().HopByHop(1).DestinationOptions().Routing(3).Fragment(0, false).Authentication(20).DestinationOptions(2).Icmpv6(),
            Transport.Icmp),
        ["ESP behind an extension header"] = (Packet.Ethernet().Ipv6().HopByHop().Esp(), Transport.Other),
        ["TCP behind eight extension headers"] = (Chain(8, Packet.Ethernet().Ipv6()).Tcp(), Transport.Tcp),
        ["TCP behind nine extension headers"] = (Chain(9, Packet.Ethernet().Ipv6()).Tcp(), Transport.Other),
        ["TCP behind twenty extension headers"] = (Chain(20, Packet.Ethernet().Ipv6()).Tcp(), Transport.Other),

        ["First fragment over IPv4"] = (Packet.Ethernet().Ipv4(moreFragments: true).Udp().Bytes(1000), Transport.Udp),
        ["Middle fragment over IPv4"] = (Packet.Ethernet().Ipv4(fragmentOffset: 8, moreFragments: true).Protocol(17).Bytes(1000), Transport.Udp),
        ["Last fragment over IPv4"] = (Packet.Ethernet().Ipv4(fragmentOffset: 65528).Protocol(6).Bytes(8), Transport.Tcp),
        ["First fragment over IPv6"] = (Packet.Ethernet().Ipv6().Fragment(0, true).Udp().Bytes(1000), Transport.Udp),
        ["First and only fragment over IPv6"] = (Packet.Ethernet().Ipv6().Fragment(0, false).Tcp(), Transport.Tcp),
        ["Fragment header with a reserved byte set"] =
            (Packet.Ethernet().Ipv6().Fragment(0, true, reserved: 0xff).DestinationOptions().Tcp(), Transport.Tcp),
        ["First fragment that goes on with an extension header"] =
            (Packet.Ethernet().Ipv6().Fragment(0, true).DestinationOptions().Udp(), Transport.Udp),
        ["Middle fragment over IPv6"] = (Packet.Ethernet().Ipv6().Fragment(8, true).Protocol(17).Bytes(1000), Transport.Udp),
        ["Last fragment over IPv6"] = (Packet.Ethernet().Ipv6().HopByHop().Fragment(65528, false).Protocol(6).Bytes(8), Transport.Tcp),
        // What follows is the middle of something; where it looks like a header is chance.
        ["Later fragment of what began with an extension header"] = (Packet.Ethernet().Ipv6().Fragment(8, false).DestinationOptions().Udp(), Transport.Other),

        ["ARP"] = (Packet.Ethernet().Arp(), Transport.Other),
        ["LLDP"] = (Packet.Ethernet().EtherType(0x88cc).Bytes(46), Transport.Other),
        ["802.3 with a length"] = (Packet.Ethernet().EtherType(46).Bytes(46), Transport.Other),
        ["TCP behind a VLAN tag"] = (Packet.Ethernet().Vlan().Ipv4().Tcp(), Transport.Tcp),
        ["UDP behind a service tag"] = (Packet.Ethernet().ServiceVlan().Ipv6().Udp(), Transport.Udp),
        ["TCP behind two tags"] = (Packet.Ethernet().ServiceVlan().Vlan().Ipv4().Tcp(), Transport.Tcp),
        ["UDP over IPv6 behind two tags"] = (Packet.Ethernet().Vlan().Vlan().Ipv6().HopByHop(1).Udp(), Transport.Udp),
        ["TCP behind three tags"] = (Packet.Ethernet().ServiceVlan().Vlan().Vlan().Ipv4().Tcp(), Transport.Other),
        ["ARP behind a tag"] = (Packet.Ethernet().Vlan().Arp(), Transport.Other),
    };

    /// <summary>Several packets in one skb: their lengths, worked out by hand.</summary>
    private static readonly Dictionary<string, (Packet Packet, int GsoSize, int GsoSegments, int[] Lengths)> OffloadedCases = new()
    {
        ["TCP"] = (Packet.Ethernet().Ipv4().Tcp().Bytes(3000), 1000, 3, [1054, 1054, 1054]),
        ["TCP with a short rest"] = (Packet.Ethernet().Ipv4().Tcp(options: 12).Bytes(2001), 1000, 3, [1066, 1066, 67]),
        ["TCP with the longest options"] = (Packet.Ethernet().Ipv4(options: 40).Tcp(options: 40).Bytes(300), 100, 3, [234, 234, 234]),
        ["TCP behind two tags and extension headers"] =
            (Packet.Ethernet().ServiceVlan().Vlan().Ipv6().HopByHop(1).DestinationOptions().Tcp().Bytes(250), 100, 3, [206, 206, 156]),
        ["UDP"] = (Packet.Ethernet().Ipv4().Udp().Bytes(1100), 500, 3, [542, 542, 142]),
        ["UDP over IPv6"] = (Packet.Ethernet().Ipv6().Udp().Bytes(2002), 1001, 2, [1063, 1063]),
        ["One segment"] = (Packet.Ethernet().Ipv4().Tcp().Bytes(500), 1000, 1, [554]),
        ["TCP from a sender that does not say how many"] = (Packet.Ethernet().Ipv4().Tcp().Bytes(2001), 1000, 0, [1054, 1054, 55]),
        ["TCP from a sender that does not say how many, with nothing left over"] = (Packet.Ethernet().Ipv4().Tcp().Bytes(2000), 1000, 0, [1054, 1054]),
        ["Only headers, from a sender that does not say how many"] = (Packet.Ethernet().Ipv4().Tcp(), 1000, 0, [54]),
        ["SCTP, whose segments differ"] = (Packet.Ethernet().Ipv4().Sctp().Bytes(300), 0xffff, 3, [146, 146, 146]),
        ["SCTP from a sender that does not say how many"] = (Packet.Ethernet().Ipv4().Sctp().Bytes(300), 0xffff, 0, [346]),
        // The lengths that they would have without headers of their own: nothing is made up.
        ["Unknown headers"] = (Packet.Ethernet().Ipv4().Esp().Bytes(957), 400, 3, [333, 333, 333]),
        ["Unknown headers and a rest"] = (Packet.Ethernet().Ipv4().Esp().Bytes(960), 400, 3, [334, 334, 334]),
        ["Not IP"] = (Packet.Ethernet().EtherType(0x88cc).Bytes(986), 400, 2, [500, 500]),
        ["Later fragment"] = (Packet.Ethernet().Ipv6().Fragment(8, true).Protocol(6).Bytes(938), 400, 2, [500, 500]),
        ["TCP header cut short"] = (Packet.Ethernet().Ipv4().Protocol(6).Bytes(19), 30, 1, [53]),
    };

    private readonly ProgramRuns _runs;

    public ProgramTests(ProgramRuns runs)
    {
        _runs = runs;
        _runs.Clear();
    }

    public static TheoryData<string> Packets => [.. PacketCases.Keys];

    public static TheoryData<string> Offloaded => [.. OffloadedCases.Keys];

    public static TheoryData<int, int> SizesAndBuckets => new()
    {
        { 60, 0 }, { 63, 0 }, { 64, 0 }, { 65, 1 },
        { 127, 1 }, { 128, 1 }, { 129, 2 },
        { 255, 2 }, { 256, 2 }, { 257, 3 },
        { 511, 3 }, { 512, 3 }, { 513, 4 },
        { 1023, 4 }, { 1024, 4 }, { 1025, 5 },
        { 1517, 5 }, { 1518, 5 }, { 1519, 6 },
        { 3000, 6 },
    };

    public static TheoryData<int, int> LargeSizesAndBuckets => new() { { 9017, 6 }, { 9018, 6 }, { 9019, 7 }, { 65_000, 7 } };

    [Theory]
    [MemberData(nameof(Packets))]
    public void A_packet_is_counted_once_under_its_transport(string name)
    {
        var (packet, transport) = PacketCases[name];

        AssertCounted(packet.ToArray(), transport);
    }

    [Theory]
    [MemberData(nameof(SizesAndBuckets))]
    public void A_length_falls_into_the_bucket_whose_bound_it_does_not_exceed(int length, int bucket)
    {
        var packet = Packet.Ethernet().Ipv4().Tcp().FillTo(length).ToArray();

        foreach (var transmit in (bool[])[true, false])
        {
            var direction = Half(_runs.Run(transmit, packet, Loopback), transmit);
            Assert.Equal(new TrafficSize(1, (ulong)length), direction.Sizes[bucket]);
        }
    }

    /// <summary>
    /// TEST_RUN takes no packet of more than a page. A real one from a raw socket has just its Ethernet header in the linear part
    /// (net/packet/af_packet.c, packet_alloc_skb): every other header is read from a page behind it.
    /// </summary>
    [Theory]
    [MemberData(nameof(LargeSizesAndBuckets))]
    public void A_large_frame_is_counted_although_its_headers_are_not_linear(int length, int bucket)
    {
        using var pod = new Pod();
        using var attachments = new TcxAttacher(_runs.Programs.Pair).AttachBoth(pod.Ifindex);
        Shell.Ip($"link set {pod.Interface} mtu 65535 addrgenmode none up");
        pod.Namespace.Ip("link set eth0 mtu 65535 addrgenmode none up");
        byte[][] frames =
        [
            Packet.Ethernet().Vlan().ServiceVlan().Ipv4(options: 12).Tcp().FillTo(length).ToArray(),
            Packet.Ethernet().ServiceVlan().Vlan().Ipv6().HopByHop(2).Routing().Fragment(0, true).Authentication().DestinationOptions().Udp().FillTo(length).ToArray(),
            Packet.Ethernet().Ipv6().Fragment(8, true).Protocol(132).FillTo(length).ToArray(),
        ];

        using (var fromPod = FrameSocket.Open(pod.Namespace, "eth0"))
        using (var fromHost = FrameSocket.Open(null, pod.Interface))
        {
            foreach (var frame in frames)
            {
                fromPod.Send(frame);
                fromHost.Send(frame);
            }
        }

        var counted = default(TrafficValue);
        for (var start = Stopwatch.GetTimestamp();
            (counted.Transmit.Sizes[bucket].Segments < 3 || counted.Receive.Sizes[bucket].Segments < 3) && Stopwatch.GetElapsedTime(start).TotalSeconds < 10;)
        {
            foreach (var row in _runs.Programs.Traffic.Drain())
            {
                counted.Add(row.Value);
            }
        }
        foreach (var direction in (TrafficDirection[])[counted.Transmit, counted.Receive])
        {
            Assert.Equal(new TrafficSize(3, 3 * (ulong)length), direction.Sizes[bucket]);
            foreach (var transport in (Transport[])[Transport.Tcp, Transport.Udp, Transport.Sctp])
            {
                Assert.Equal(new TrafficCount(1, (ulong)length, 1), direction.Transports[(int)transport]);
            }
        }
    }

    [Fact]
    public void Packets_are_counted_under_the_interface_they_come_from()
    {
        using var first = new Pod();
        using var second = new Pod();
        var packet = Packet.Ethernet().Ipv4().Udp().ToArray();

        _runs.Run(transmit: true, packet, new SkbContext(first.Ifindex), times: 1);
        _runs.Run(transmit: true, packet, new SkbContext(second.Ifindex), times: 2);
        _runs.Run(transmit: false, packet, new SkbContext(second.Ifindex), times: 3);

        var rows = _runs.Drain();
        Assert.Equal(2, rows.Count);
        Assert.Equal((1ul, 0ul), Packets(rows[first.Ifindex]));
        Assert.Equal((2ul, 3ul), Packets(rows[second.Ifindex]));

        static (ulong, ulong) Packets(in TrafficValue value) => (value.Transmit.Total.Packets, value.Receive.Total.Packets);
    }

    [Fact]
    public void Packets_of_one_interface_add_up()
    {
        var tcp = Packet.Ethernet().Ipv4().Tcp().FillTo(100).ToArray();
        var udp = Packet.Ethernet().Ipv6().Udp().FillTo(1500).ToArray();

        _runs.Run(transmit: true, tcp, new SkbContext(Loopback), times: 1000);
        _runs.Run(transmit: true, udp, new SkbContext(Loopback), times: 10);
        _runs.Run(transmit: true, tcp, new SkbContext(Loopback), times: 1);

        var value = Assert.Single(_runs.Drain()).Value;
        Assert.Equal(new TrafficCount(1001, 100_100, 1001), value.Transmit.Transports[(int)Transport.Tcp]);
        Assert.Equal(new TrafficCount(10, 15_000, 10), value.Transmit.Transports[(int)Transport.Udp]);
        Assert.Equal(new TrafficSize(1001, 100_100), value.Transmit.Sizes[1]);
        Assert.Equal(new TrafficSize(10, 15_000), value.Transmit.Sizes[5]);
        Assert.Equal(default, value.Receive.Total);
    }

    [Fact]
    public void An_IPv4_header_that_is_cut_short_has_no_transport()
    {
        // Behind a tag, because TEST_RUN itself refuses IPv4 without a whole header.
        var whole = Packet.Ethernet().Vlan().Ipv4().Udp().ToArray();
        const int HeaderEnd = Packet.EthernetLength + 4 + Packet.Ipv4Length;

        for (var length = Packet.EthernetLength + 4; length <= whole.Length; length++)
        {
            AssertCounted(whole[..length], transport: length < HeaderEnd ? Transport.Other : Transport.Udp);
        }
    }

    [Fact]
    public void An_IPv6_header_that_is_cut_short_has_no_transport()
    {
        // Behind a tag, because TEST_RUN itself refuses IPv6 without a whole header.
        var whole = Packet.Ethernet().Vlan().Ipv6().Udp().ToArray();
        const int HeaderEnd = Packet.EthernetLength + 4 + Packet.Ipv6Length;

        for (var length = Packet.EthernetLength + 4; length <= whole.Length; length++)
        {
            AssertCounted(whole[..length], transport: length < HeaderEnd ? Transport.Other : Transport.Udp);
        }
    }

    [Fact]
    public void A_tag_that_is_cut_short_has_no_transport()
    {
        var whole = Packet.Ethernet().Vlan().ServiceVlan().Ipv4().Tcp().ToArray();

        for (var length = 1; length < 4 + 4 + Packet.Ipv4Length; length++)
        {
            AssertCounted(whole[..(Packet.EthernetLength + length)], transport: Transport.Other);
        }
    }

    /// <summary>The first four bytes of an extension header say what follows it, and the rest of it nothing that is asked for.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(43)]
    [InlineData(44)]
    [InlineData(51)]
    [InlineData(60)]
    public void An_extension_header_without_its_first_four_bytes_has_no_transport(int number)
    {
        var whole = Packet.Ethernet().Ipv6().HopByHop(1).Extension(number).Tcp().ToArray();
        var start = Packet.EthernetLength + Packet.Ipv6Length + 16;

        for (var length = start - 12; length <= whole.Length; length++)
        {
            AssertCounted(whole[..length], transport: length < start + 4 ? Transport.Other : Transport.Tcp);
        }
    }

    [Fact]
    public void A_chain_of_extension_headers_may_claim_more_than_there_is()
    {
        var packet = Packet.Ethernet().Ipv6();
        for (var i = 0; i < 8; i++)
        {
            packet.HopByHop(255);
        }
        var whole = packet.Tcp().ToArray();
        // Eight times 2048 bytes: more than a page, so that the end is never there.
        AssertCounted(whole[..(Packet.EthernetLength + Packet.Ipv6Length + 3)], transport: Transport.Other);
        AssertCounted(whole[..(Packet.EthernetLength + Packet.Ipv6Length + 2048)], transport: Transport.Other);
        AssertCounted(whole[..(Packet.EthernetLength + Packet.Ipv6Length + 2052)], transport: Transport.Other);

        var last = Packet.Ethernet().Ipv6().DestinationOptions(255).Udp().ToArray();
        AssertCounted(last[..(Packet.EthernetLength + Packet.Ipv6Length + 8)], transport: Transport.Udp);
    }

    [Fact]
    public void An_IPv4_header_that_claims_less_than_20_bytes_has_no_transport()
    {
        for (var words = 0; words <= 15; words++)
        {
            AssertCounted(Packet.Ethernet().Ipv4(headerWords: words).Tcp().ToArray(), transport: words < 5 ? Transport.Other : Transport.Tcp);
        }
    }

    [Fact]
    public void A_version_that_is_not_the_Ethertypes_has_no_transport()
    {
        for (var version = 0; version <= 15; version++)
        {
            AssertCounted(Packet.Ethernet().Ipv4(version: version).Tcp().Bytes(40).ToArray(), transport: version == 4 ? Transport.Tcp : Transport.Other);
            AssertCounted(Packet.Ethernet().Ipv6(version: version).Tcp().ToArray(), transport: version == 6 ? Transport.Tcp : Transport.Other);
        }
    }

    [Fact]
    public void Every_IP_protocol_falls_into_one_of_five_transports()
    {
        for (var protocol = 0; protocol < 256; protocol++)
        {
            var transport = protocol switch
            {
                1 or 58 => Transport.Icmp,
                6 => Transport.Tcp,
                17 => Transport.Udp,
                132 => Transport.Sctp,
                _ => Transport.Other,
            };
            AssertCounted(Packet.Ethernet().Ipv4().Protocol(protocol).Bytes(40).ToArray(), transport: transport);
            if (protocol is not (0 or 43 or 44 or 51 or 60))
            {
                AssertCounted(Packet.Ethernet().Ipv6().Protocol(protocol).Bytes(40).ToArray(), transport: transport);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Offloaded))]
    public void An_offloaded_skb_is_one_packet_and_as_many_segments_as_the_wire_carries(string name)
    {
        var (packet, size, segments, lengths) = OffloadedCases[name];
        var frame = packet.ToArray();

        foreach (var transmit in (bool[])[true, false])
        {
            var direction = Half(_runs.Run(transmit, frame, new SkbContext(Loopback, size, segments)), transmit);

            Assert.Equal(new TrafficCount(1, (ulong)frame.Length, (ulong)lengths.Length), direction.Total);
            Assert.Equal(Histogram(lengths), Histogram(direction));
        }
    }

    [Fact]
    public void No_combination_of_sizes_and_segments_loses_a_segment_or_a_byte()
    {
        var headers = Packet.EthernetLength + Packet.Ipv4Length;
        (byte[] Frame, int? Headers)[] packets =
        [
            (Packet.Ethernet().Ipv4().Tcp().ToArray(), 0),
            (Packet.Ethernet().Ipv4().Tcp().Bytes(1).ToArray(), headers + 20),
            (Packet.Ethernet().Ipv4().Tcp(options: 40).Bytes(2000).ToArray(), headers + 60),
            (Packet.Ethernet().Ipv4().Udp().Bytes(3000).ToArray(), headers + 8),
            (Packet.Ethernet().Vlan().Ipv6().HopByHop(3).Sctp().Bytes(777).ToArray(), 14 + 4 + 40 + 32 + 12),
            (Packet.Ethernet().Ipv6().DestinationOptions(200).Tcp().Bytes(60).ToArray(), 14 + 40 + (201 * 8) + 20),
            (Packet.Ethernet().Ipv4().Esp().Bytes(500).ToArray(), 0),
            (Packet.Ethernet().Arp().ToArray(), 0),
            (Packet.Ethernet().Ipv6().Fragment(8, true).Protocol(17).Bytes(500).ToArray(), 0),
            // Nobody offloads a later fragment of IPv4: its payload may pass for headers.
            (Packet.Ethernet().Ipv4(fragmentOffset: 8).Protocol(17).Bytes(500).ToArray(), null),
            (Packet.Ethernet().Ipv4().Protocol(6).Bytes(10).ToArray(), 0),
            (Packet.Ethernet().Bytes(1).ToArray(), 0),
        ];
        int[] sizes = [1, 2, 7, 64, 536, 1000, 1448, 1460, 8948, 32_768, 65_534, 65_535];
        int[] counts = [0, 1, 2, 3, 17, 44, 45, 1000, 65_534, 65_535];

        foreach (var (frame, repeated) in packets)
        {
            foreach (var size in sizes)
            {
                foreach (var count in counts)
                {
                    foreach (var transmit in (bool[])[true, false])
                    {
                        var context = new SkbContext(Loopback, size, count);
                        ProgramRuns.AssertConsistent(_runs.Run(transmit, frame, context), transmit, frame, context, repeated);
                    }
                }
            }
        }
    }

    [Fact]
    public void A_count_of_segments_without_their_size_means_one_packet()
    {
        var frame = Packet.Ethernet().Ipv4().Tcp().Bytes(1000).ToArray();

        var value = _runs.Run(transmit: true, frame, new SkbContext(Loopback, GsoSize: 0, GsoSegments: 7));

        Assert.Equal(new TrafficCount(1, TcpHeaders + 1000, 1), value.Transmit.Total);
    }

    [Fact]
    public void Packets_of_more_interfaces_than_fit_are_counted_as_lost()
    {
        using var runs = new ProgramRuns(2);
        using var first = new Pod();
        using var second = new Pod();
        using var third = new Pod();
        using var fourth = new Pod();
        Pod[] pods = [first, second, third, fourth];
        var small = Packet.Ethernet().Ipv4().Udp().FillTo(100).ToArray();
        var large = Packet.Ethernet().Ipv4().Tcp().FillTo(1000).ToArray();

        foreach (var pod in pods)
        {
            runs.Run(transmit: true, small, new SkbContext(pod.Ifindex), times: 5);
            runs.Run(transmit: false, large, new SkbContext(pod.Ifindex), times: 3);
            // An skb that stands for several packets was one on this interface, and is one loss.
            runs.Run(transmit: true, large, new SkbContext(pod.Ifindex, GsoSize: 100, GsoSegments: 10), times: 1);
        }

        const ulong Packets = 5 + 3 + 1, Bytes = (5 * 100) + (4 * 1000);
        var rows = runs.Drain();
        Assert.Equal([first.Ifindex, second.Ifindex], rows.Keys.Order());
        foreach (var value in rows.Values)
        {
            Assert.Equal(new TrafficCount(6, 1500, 15), value.Transmit.Total);
            Assert.Equal(new TrafficCount(3, 3000, 3), value.Receive.Total);
        }
        Assert.Equal(new Loss(2 * Packets, 2 * Bytes), runs.Programs.Losses.Read((int)LossReason.MapFull));
        Assert.Equal(default, runs.Programs.Losses.Read((int)LossReason.MapBusy));
        Assert.Equal(default, runs.Programs.Losses.Read((int)LossReason.MapError));

        // Room again, and nothing more is lost.
        runs.Run(transmit: true, small, new SkbContext(fourth.Ifindex), times: 1);
        Assert.Equal(1ul, runs.Drain()[fourth.Ifindex].Transmit.Total.Packets);
        Assert.Equal(2 * Packets, runs.Programs.Losses.Read((int)LossReason.MapFull).Packets);
    }

    [Fact]
    public void A_swap_of_the_maps_changes_nothing_for_the_packets()
    {
        var packet = Packet.Ethernet().Ipv4().Udp().ToArray();

        for (var drain = 0; drain < 4; drain++)
        {
            _runs.Run(transmit: true, packet, new SkbContext(Loopback), times: drain + 1);
            Assert.Equal((ulong)drain + 1, Assert.Single(_runs.Programs.Traffic.Drain().ToArray()).Value.Transmit.Total.Packets);
        }
    }

    private static Packet Chain(int extensions, Packet packet)
    {
        for (var i = 0; i < extensions; i++)
        {
            _ = i % 2 == 0 ? packet.DestinationOptions() : packet.Authentication();
        }
        return packet;
    }

    private static TrafficDirection Half(in TrafficValue value, bool transmit) => transmit ? value.Transmit : value.Receive;

    private static TrafficSize[] Histogram(TrafficDirection direction) => [.. (ReadOnlySpan<TrafficSize>)direction.Sizes];

    private static TrafficSize[] Histogram(int[] lengths)
    {
        var sizes = new TrafficSize[TrafficSize.Bounds.Length + 1];
        foreach (var length in lengths)
        {
            ref var size = ref sizes[ProgramRuns.Bucket(length)];
            size = new(size.Segments + 1, size.Bytes + (ulong)length);
        }
        return sizes;
    }

    private void AssertCounted(byte[] packet, Transport transport)
    {
        foreach (var transmit in (bool[])[true, false])
        {
            ProgramRuns.AssertOnePacket(_runs.Run(transmit, packet, Loopback), transmit, packet, transport);
        }
    }
}

/// <summary>The loaded programs, run on one packet at a time; nothing else uses their maps.</summary>
public sealed class ProgramRuns : IDisposable
{
    private const int Next = -1;

    private readonly HashReader<TrafficKey, TrafficValue> _reader;

    public ProgramRuns()
        : this(maxInterfaces: 16)
    {
    }

    internal ProgramRuns(int maxInterfaces)
    {
        Programs = TrafficPrograms.Load(maxInterfaces);
        _reader = new(Programs.Traffic.Active);
    }

    internal TrafficPrograms Programs { get; }

    internal static int Bucket(int length)
    {
        var bucket = 0;
        foreach (var bound in TrafficSize.Bounds)
        {
            bucket += length > bound ? 1 : 0;
        }
        return bucket;
    }

    /// <summary>That a value is exactly one packet of one segment, and nothing else.</summary>
    internal static void AssertOnePacket(in TrafficValue value, bool transmit, ReadOnlySpan<byte> packet, Transport transport)
    {
        var expected = default(TrafficValue);
        ref var direction = ref transmit ? ref expected.Transmit : ref expected.Receive;
        direction.Transports[(int)transport] = new(1, (ulong)packet.Length, 1);
        direction.Sizes[Bucket(packet.Length)] = new(1, (ulong)packet.Length);
        if (!Same(expected.Transmit, value.Transmit) || !Same(expected.Receive, value.Receive))
        {
            Assert.Fail($"{Convert.ToHexString(packet)}: wanted {Describe(expected)}, counted {Describe(value)}");
        }
    }

    /// <summary>That the histogram is the same segments and bytes as the total, with the headers that every segment repeats.</summary>
    /// <param name="headers">Bytes in front of the payload; 0 where they are not known, null where anything may be taken for them.</param>
    internal static void AssertConsistent(in TrafficValue value, bool transmit, ReadOnlySpan<byte> packet, SkbContext context, int? headers)
    {
        var (direction, other) = transmit ? (value.Transmit, value.Receive) : (value.Receive, value.Transmit);
        var (total, length) = (direction.Total, (ulong)packet.Length);
        ulong segments = 0, bytes = 0;
        var plausible = true;
        for (var bucket = 0; bucket <= TrafficSize.Bounds.Length; bucket++)
        {
            var size = direction.Sizes[bucket];
            var least = bucket == 0 ? 0 : (ulong)TrafficSize.Bounds[bucket - 1] + 1;
            var most = bucket < TrafficSize.Bounds.Length ? (ulong)TrafficSize.Bounds[bucket] : length + 65_535;
            plausible &= size.Bytes >= size.Segments * least && size.Bytes <= size.Segments * most;
            (segments, bytes) = (segments + size.Segments, bytes + size.Bytes);
        }
        var right = plausible
            && (total.Packets, total.Bytes, total.Segments) == (1ul, length, segments)
            && (headers is not { } repeated
                ? segments > 0 && bytes >= length
                : segments == Segments(packet.Length, context, repeated) && bytes == length + ((segments - 1) * (ulong)repeated))
            && Same(other, default);
        if (!right)
        {
            Assert.Fail($"{Convert.ToHexString(packet)}, {context}, {headers} bytes of headers: counted {Describe(value)}");
        }
    }

    /// <summary>What one packet added, to an interface without anything before it.</summary>
    internal TrafficValue Run(bool transmit, ReadOnlySpan<byte> packet, int ifindex) => Run(transmit, packet, new SkbContext(ifindex));

    /// <inheritdoc cref="Run(bool, ReadOnlySpan{byte}, int)"/>
    internal TrafficValue Run(bool transmit, ReadOnlySpan<byte> packet, SkbContext context)
    {
        Run(transmit, packet, context, times: 1);
        var rows = _reader.ReadAndClear(Programs.Traffic.Active);
        return rows is [var row] && row.Key.Ifindex == context.Ifindex
            ? row.Value
            : throw new InvalidOperationException($"There are {rows.Length} rows instead of one for interface {context.Ifindex}.");
    }

    internal void Run(bool transmit, ReadOnlySpan<byte> packet, SkbContext context, int times)
    {
        var (result, _) = (transmit ? Programs.Transmit : Programs.Receive).TestRun(packet, context.ToArray(), times);
        if (result != Next)
        {
            Assert.Fail($"The program returned {result} for {Convert.ToHexString(packet)}.");
        }
    }

    internal Dictionary<int, TrafficValue> Drain()
    {
        var rows = new Dictionary<int, TrafficValue>();
        foreach (var row in Programs.Traffic.Drain())
        {
            rows.Add(row.Key.Ifindex, row.Value);
        }
        return rows;
    }

    /// <summary>Throws away what a failed test left.</summary>
    internal void Clear() => _reader.ReadAndClear(Programs.Traffic.Active);

    public void Dispose() => Programs.Dispose();

    /// <summary>How many packets on the wire: what the skb says, or as many as its payload fills.</summary>
    private static ulong Segments(int length, SkbContext context, int headers) => context switch
    {
        { GsoSegments: > 0 } => (ulong)context.GsoSegments,
        { GsoSize: 0xffff } => 1,
        _ => Math.Max(1, (ulong)(length - headers + context.GsoSize - 1) / (ulong)context.GsoSize),
    };

    private static bool Same(in TrafficDirection left, in TrafficDirection right) =>
        ((ReadOnlySpan<TrafficCount>)left.Transports).SequenceEqual(right.Transports)
        && ((ReadOnlySpan<TrafficSize>)left.Sizes).SequenceEqual(right.Sizes);

    private static string Describe(in TrafficValue value) => $"[transmit {Describe(value.Transmit)}; receive {Describe(value.Receive)}]";

    private static string Describe(in TrafficDirection direction)
    {
        var parts = new List<string>();
        foreach (var transport in Enum.GetValues<Transport>())
        {
            var count = direction.Transports[(int)transport];
            if (count != default)
            {
                parts.Add($"{transport} {count.Packets} packets {count.Bytes} bytes {count.Segments} segments");
            }
        }
        for (var bucket = 0; bucket <= TrafficSize.Bounds.Length; bucket++)
        {
            var size = direction.Sizes[bucket];
            if (size != default)
            {
                parts.Add($"size {bucket}: {size.Segments} segments {size.Bytes} bytes");
            }
        }
        return parts.Count == 0 ? "nothing" : string.Join(", ", parts);
    }
}
