using System.Buffers.Binary;
using Exporter.Signals.Uplinks;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Finds a frame's class as the standards describe it, in plain C#, one header after the other.</summary>
internal static class UplinkReference
{
    /// <summary>Where the programs stop.</summary>
    private const int MostExtensions = 8;

    private const int LastOffset = 0x3fff;

    private static readonly HashSet<int> Amplifiers = [17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1434, 1900, 3283, 3389, 3702, 5093, 5353, 5683, 10001, 11211, 27015, 27960, 37810];

    internal static UplinkClass ClassOf(byte[] frame)
    {
        var (type, offset) = (Number(frame, 12), 14);
        for (var tags = 0; tags < 2 && type is 0x8100 or 0x88a8; tags++)
        {
            if (frame.Length < offset + 4)
            {
                return UplinkClass.Other;
            }
            (type, offset) = (Number(frame, offset + 2), offset + 4);
        }
        return type switch
        {
            0x0800 => OfIpv4(frame, offset),
            0x86dd => OfIpv6(frame, offset),
            0x0806 => UplinkClass.Arp,
            _ => UplinkClass.Other,
        };
    }

    private static UplinkClass OfIpv4(byte[] frame, int offset)
    {
        if (frame.Length < offset + 20 || frame[offset] >> 4 != 4 || (frame[offset] & 15) < 5)
        {
            return UplinkClass.OtherIp;
        }
        return (Number(frame, offset + 6) & 0x3fff) != 0
            ? UplinkClass.Fragment
            : OfTransport(frame, frame[offset + 9], offset + (4 * (frame[offset] & 15)), icmp: 1);
    }

    private static UplinkClass OfIpv6(byte[] frame, int offset)
    {
        if (frame.Length < offset + 40 || frame[offset] >> 4 != 6)
        {
            return UplinkClass.OtherIp;
        }
        int next = frame[offset + 6];
        offset += 40;
        for (var extensions = 0; next is 0 or 43 or 44 or 51 or 60; extensions++)
        {
            if (extensions >= MostExtensions || offset > LastOffset || frame.Length < offset + 4)
            {
                return UplinkClass.OtherIp;
            }
            if (next == 44 && (Number(frame, offset + 2) & 0xfff9) != 0)
            {
                return UplinkClass.Fragment;
            }
            var length = next switch { 44 => 8, 51 => (frame[offset + 1] + 2) * 4, _ => (frame[offset + 1] + 1) * 8 };
            (next, offset) = (frame[offset], offset + length);
        }
        return OfTransport(frame, next, offset, icmp: 58);
    }

    private static UplinkClass OfTransport(byte[] frame, int protocol, int offset, int icmp)
    {
        if (protocol == icmp)
        {
            return UplinkClass.Icmp;
        }
        if (offset > LastOffset || frame.Length < offset + (protocol == 6 ? 20 : 8) || protocol is not (6 or 17))
        {
            return UplinkClass.OtherIp;
        }
        return protocol == 17
            ? Amplifiers.Contains(Number(frame, offset)) ? UplinkClass.UdpReflection : UplinkClass.Udp
            : OfFlags(frame[offset + 13]);
    }

    private static UplinkClass OfFlags(int flags)
    {
        var (fin, syn, rst, psh, ack, urg) = ((flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, (flags & 8) != 0, (flags & 16) != 0, (flags & 32) != 0);
        return (fin, syn, rst, psh, ack, urg) switch
        {
            (false, false, false, false, false, false) => UplinkClass.TcpIllegal,
            (true, _, _, true, false, true) => UplinkClass.TcpIllegal,
            (true, true, _, _, _, _) => UplinkClass.TcpIllegal,
            (_, _, true, _, _, _) => UplinkClass.TcpRst,
            (_, true, _, _, true, _) => UplinkClass.TcpSynAck,
            (_, true, _, _, _, _) => UplinkClass.TcpSyn,
            (true, _, _, _, _, _) => UplinkClass.TcpFin,
            _ => UplinkClass.TcpOther,
        };
    }

    private static int Number(byte[] frame, int at) => BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(at));
}
