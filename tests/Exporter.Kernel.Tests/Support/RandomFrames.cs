using System.Buffers.Binary;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Random frames that programs are run on by BPF_PROG_TEST_RUN.</summary>
internal static class RandomFrames
{
    /// <summary>TEST_RUN takes little more than three quarters of a page.</summary>
    private const int LongestPacket = 3500;

    private static readonly byte[] EtherTypes = [0x08, 0x00, 0x86, 0xdd, 0x81, 0x00, 0x88, 0xa8, 0x08, 0x06];
    private static readonly byte[] Protocols = [0, 1, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 132, 135];

    /// <summary>Chains of headers in which something is changed, or whose end is cut off.</summary>
    internal static byte[] Mutated(Random random) => Mutate(random, Headers(random));

    /// <summary>TEST_RUN wants a whole IP header behind an untagged Ethernet header (net/bpf/test_run.c, bpf_prog_test_run_skb).</summary>
    internal static bool IsRefused(byte[] packet) => BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(12)) switch
    {
        0x0800 => packet.Length < Packet.EthernetLength + Packet.Ipv4Length,
        0x86dd => packet.Length < Packet.EthernetLength + Packet.Ipv6Length,
        _ => false,
    };

    /// <summary>Bytes with a type that is looked into.</summary>
    internal static byte[] Bytes(Random random)
    {
        var packet = new byte[random.Next(Packet.EthernetLength, 300)];
        random.NextBytes(packet);
        // Most types are none of those that are looked into.
        EtherTypes.AsSpan(random.Next(EtherTypes.Length / 2) * 2, 2).CopyTo(packet.AsSpan(12));
        if (packet.Length > Packet.EthernetLength && random.Next(4) != 0)
        {
            packet[14] = packet[12] == 0x08 ? (byte)(0x40 | random.Next(16)) : (byte)0x60;
        }
        // Nor are most protocols any that are told apart.
        foreach (var at in (int[])[Packet.EthernetLength + 6, Packet.EthernetLength + 9, random.Next(54, 120), random.Next(54, 120)])
        {
            if (at < packet.Length && random.Next(4) != 0)
            {
                packet[at] = Protocols[random.Next(Protocols.Length)];
            }
        }
        return packet;
    }

    /// <summary>Chains of headers.</summary>
    internal static byte[] Headers(Random random)
    {
        var packet = Packet.Ethernet();
        for (var tags = random.Next(8) - 4; tags > 0; tags--)
        {
            _ = random.Next(2) == 0 ? packet.Vlan() : packet.ServiceVlan();
        }
        switch (random.Next(8))
        {
            case 0:
                packet.Arp();
                break;
            case <= 3:
                packet.Ipv4(random.Next(11) * 4, random.Next(4) == 0 ? random.Next(8192) * 8 : 0, random.Next(4) == 0);
                Above(random, packet);
                break;
            default:
                packet.Ipv6();
                for (var extensions = random.Next(12); extensions > 0; extensions--)
                {
                    _ = random.Next(8) switch
                    {
                        0 or 1 => packet.HopByHop(random.Next(4)),
                        2 or 3 => packet.Routing(random.Next(4)),
                        4 => packet.Fragment(random.Next(3) == 0 ? random.Next(8192) * 8 : 0, random.Next(2) == 0, (byte)random.Next(256)),
                        5 => packet.Authentication(random.Next(10) * 4),
                        _ => packet.DestinationOptions(random.Next(4)),
                    };
                }
                Above(random, packet);
                break;
        }
        return packet.Bytes(random.Next(random.Next(4) == 0 ? LongestPacket - packet.Length : 100)).ToArray();
    }

    private static void Above(Random random, Packet packet) => _ = random.Next(8) switch
    {
        0 or 1 => packet.Tcp(random.Next(11) * 4),
        2 => packet.Udp(),
        3 => packet.Icmp(),
        4 => packet.Icmpv6(),
        5 => packet.Sctp(),
        6 => packet.Ipv4().Tcp(),
        _ => packet.Protocol(random.Next(256)),
    };

    private static byte[] Mutate(Random random, byte[] packet)
    {
        // What matters is in front.
        var headers = Math.Min(packet.Length, 160);
        for (var changes = random.Next(1, 6); changes > 0; changes--)
        {
            var at = random.Next(12, headers);
            switch (random.Next(5))
            {
                case 0:
                    packet[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    packet[at] = (byte)random.Next(256);
                    break;
                case 2:
                    packet[at] = Protocols[random.Next(Protocols.Length)];
                    break;
                case 3:
                    packet[at] = (byte)(random.Next(2) * 255);
                    break;
                default:
                    // Everything behind moves forward.
                    packet.AsSpan(at + 1).CopyTo(packet.AsSpan(at));
                    break;
            }
        }
        return random.Next(3) == 0 ? packet[..random.Next(Packet.EthernetLength, packet.Length + 1)] : packet;
    }
}
