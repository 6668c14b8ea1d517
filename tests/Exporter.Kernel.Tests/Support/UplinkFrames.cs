using Exporter.Signals.Uplinks;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Frames of every class, in all forms in which they come, each with the class that it is made for.</summary>
internal static class UplinkFrames
{
    private const int Fin = 0x01;
    private const int Syn = 0x02;
    private const int Rst = 0x04;
    private const int Psh = 0x08;
    private const int Ack = 0x10;
    private const int Urg = 0x20;

    private static readonly (int Flags, UplinkClass Class)[] Flags =
    [
        (Syn, UplinkClass.TcpSyn), (Syn | 0xc0, UplinkClass.TcpSyn), (Syn | Psh, UplinkClass.TcpSyn),
        (Syn | Ack, UplinkClass.TcpSynAck), (Syn | Ack | 0x40, UplinkClass.TcpSynAck),
        (Rst, UplinkClass.TcpRst), (Rst | Ack, UplinkClass.TcpRst), (Rst | Syn, UplinkClass.TcpRst), (Rst | Fin, UplinkClass.TcpRst),
        (Fin | Ack, UplinkClass.TcpFin), (Fin, UplinkClass.TcpFin), (Fin | Psh | Urg | Ack, UplinkClass.TcpFin),
        (Ack, UplinkClass.TcpOther), (Ack | Psh, UplinkClass.TcpOther), (Psh, UplinkClass.TcpOther), (Urg, UplinkClass.TcpOther),
        (0, UplinkClass.TcpIllegal), (0xc0, UplinkClass.TcpIllegal), (Fin | Psh | Urg, UplinkClass.TcpIllegal), (Syn | Fin, UplinkClass.TcpIllegal),
        (Syn | Fin | Ack, UplinkClass.TcpIllegal), (0x3f, UplinkClass.TcpIllegal),
    ];

    private static readonly int[] Amplifiers = [17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1434, 1900, 3283, 3389, 3702, 5093, 5353, 5683, 10001, 11211, 27015, 27960, 37810];

    /// <summary>What there is above Ethernet, or tags, and its class.</summary>
    private static IEnumerable<(Func<Packet, Packet> Write, UplinkClass Class)> Payloads()
    {
        foreach (var isIpv6 in (bool[])[false, true])
        {
            Packet Ip(Packet packet) => isIpv6 ? packet.Ipv6() : packet.Ipv4();
            foreach (var (flags, one) in Flags)
            {
                yield return (packet => Ip(packet).Tcp(8).Set(-15, flags), one);
            }
            foreach (var port in Amplifiers)
            {
                yield return (packet => Ip(packet).Udp().Set(-8, port >> 8).Set(-7, port & 0xff).Bytes(200), UplinkClass.UdpReflection);
            }
            yield return (packet => Ip(packet).Udp().Set(-8, 0x9c).Set(-7, 0x40).Set(-5, 53), UplinkClass.Udp);
            yield return (packet => isIpv6 ? Ip(packet).Icmpv6() : Ip(packet).Icmp(), UplinkClass.Icmp);
            // The other family's ICMP is none.
            yield return (packet => isIpv6 ? Ip(packet).Icmp() : Ip(packet).Icmpv6(), UplinkClass.OtherIp);
            yield return (packet => Ip(packet).Sctp(), UplinkClass.OtherIp);
            yield return (packet => Ip(packet).Esp().Bytes(40), UplinkClass.OtherIp);
            // Cut off: no transport, or a part of it.
            yield return (packet => Ip(packet).Protocol(6), UplinkClass.OtherIp);
            yield return (packet => Ip(packet).Protocol(6).Bytes(13), UplinkClass.OtherIp);
            yield return (packet => Ip(packet).Protocol(17).Bytes(7), UplinkClass.OtherIp);
        }
        yield return (packet => packet.Ipv4(options: 40).Tcp().Set(-7, Syn), UplinkClass.TcpSyn);
        yield return (packet => packet.Ipv4(moreFragments: true).Udp().Bytes(64), UplinkClass.Fragment);
        yield return (packet => packet.Ipv4(fragmentOffset: 64).Protocol(6).Bytes(64), UplinkClass.Fragment);
        yield return (packet => packet.Ipv4(version: 5).Udp(), UplinkClass.OtherIp);
        yield return (packet => packet.Ipv4(headerWords: 4).Udp(), UplinkClass.OtherIp);
        yield return (packet => packet.EtherType(0x0800).Bytes(10), UplinkClass.OtherIp);
        yield return (packet => packet.EtherType(0x86dd).Bytes(30), UplinkClass.OtherIp);
        yield return (packet => packet.Ipv6(version: 4).Udp(), UplinkClass.OtherIp);
        yield return (packet => packet.Ipv6().HopByHop().Tcp().Set(-7, Syn), UplinkClass.TcpSyn);
        yield return (packet => packet.Ipv6().HopByHop(1).Routing(2).DestinationOptions().Authentication().Udp(), UplinkClass.Udp);
        yield return (packet => packet.Ipv6().Fragment(0, moreFragments: true).Udp().Bytes(64), UplinkClass.Fragment);
        yield return (packet => packet.Ipv6().DestinationOptions().Fragment(128, moreFragments: false).Protocol(6).Bytes(64), UplinkClass.Fragment);
        // All of its packet, so no fragment.
        yield return (packet => packet.Ipv6().Fragment(0, moreFragments: false).Tcp().Set(-7, Ack), UplinkClass.TcpOther);
        yield return (packet => packet.Ipv6().Protocol(0).Bytes(1), UplinkClass.OtherIp);
        yield return (packet => packet.Ipv6().Protocol(59), UplinkClass.OtherIp);
        yield return (packet => packet.Arp(), UplinkClass.Arp);
        yield return (packet => packet.EtherType(0x88cc).Bytes(46), UplinkClass.Other);
        yield return (packet => packet.EtherType(0x8035).Bytes(46), UplinkClass.Other);
    }

    /// <summary>All of them: untagged, with one tag, and with two.</summary>
    internal static IReadOnlyList<(byte[] Frame, UplinkClass Class)> All { get; } =
    [
        .. from payload in Payloads()
           from tags in (Func<Packet, Packet>[])[packet => packet, packet => packet.Vlan(), packet => packet.ServiceVlan().Vlan()]
           select (payload.Write(tags(Packet.Ethernet())).ToArray(), payload.Class),
    ];
}
