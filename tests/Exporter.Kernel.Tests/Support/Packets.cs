using System.Buffers.Binary;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// Writes a frame from the outside to the inside: every call appends a header and names it in the one before, wherever that
/// says what follows. Checksums stay zero: nobody looks at them.
/// </summary>
internal sealed class Packet
{
    internal const int EthernetLength = 14;
    internal const int Ipv4Length = 20;
    internal const int Ipv6Length = 40;

    private readonly List<byte> _bytes = [2, 0x11, 0x22, 0x33, 0x44, 0x55, 2, 0x66, 0x77, 0x88, 0x99, 0xaa, 0, 0];

    /// <summary>Where the lengths are that depend on what follows: the field, and from where it counts.</summary>
    private readonly List<(int Field, int From)> _lengths = [];

    /// <summary>Where the last header says what follows: two bytes of an EtherType, or one byte behind IP.</summary>
    private int _nextAt = 12;
    private bool _insideIp;

    private Packet()
    {
    }

    internal int Length => _bytes.Count;

    internal static Packet Ethernet() => new();

    /// <summary>802.1Q.</summary>
    internal Packet Vlan() => Tag(0x8100);

    /// <summary>802.1ad.</summary>
    internal Packet ServiceVlan() => Tag(0x88a8);

    /// <summary>Names a protocol above Ethernet without writing anything of it.</summary>
    internal Packet EtherType(int type)
    {
        (_bytes[_nextAt], _bytes[_nextAt + 1]) = ((byte)(type >> 8), (byte)type);
        return this;
    }

    /// <summary>Names a protocol above IP without writing anything of it.</summary>
    internal Packet Protocol(int number)
    {
        _bytes[_nextAt] = (byte)number;
        return this;
    }

    /// <summary>RFC 791.</summary>
    /// <param name="options">Bytes of options, a multiple of four.</param>
    /// <param name="fragmentOffset">In bytes, a multiple of eight.</param>
    /// <param name="headerWords">What the header says its length is, where that is not the truth.</param>
    internal Packet Ipv4(int options = 0, int fragmentOffset = 0, bool moreFragments = false, int version = 4, int? headerWords = null)
    {
        Name(0x0800, 4);
        var start = Length;
        var flags = (moreFragments ? 0x2000 : 0) | (fragmentOffset / 8);
        _bytes.AddRange(
        [
            (byte)((version << 4) | (headerWords ?? ((Ipv4Length + options) / 4))), 0, 0, 0,
            0x12, 0x34, (byte)(flags >> 8), (byte)flags,
            64, 0, 0, 0,
            10, 0, 0, 1,
            10, 0, 0, 2,
            .. Enumerable.Repeat((byte)1, options),
        ]);
        _lengths.Add((start + 2, start));
        return Inside(start + 9);
    }

    /// <summary>RFC 8200.</summary>
    internal Packet Ipv6(int version = 6)
    {
        Name(0x86dd, 41);
        var start = Length;
        _bytes.AddRange(
        [
            (byte)(version << 4), 0, 0, 0, 0, 0, 0, 64,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        ]);
        _lengths.Add((start + 4, start + Ipv6Length));
        return Inside(start + 6);
    }

    /// <param name="moreUnits">Units of eight bytes behind the first one.</param>
    internal Packet HopByHop(int moreUnits = 0) => Extension(0, moreUnits);

    /// <param name="moreUnits">Units of eight bytes behind the first one.</param>
    internal Packet Routing(int moreUnits = 0) => Extension(43, moreUnits);

    /// <param name="moreUnits">Units of eight bytes behind the first one.</param>
    internal Packet DestinationOptions(int moreUnits = 0) => Extension(60, moreUnits);

    /// <summary>Another header of the form that RFC 6564 wants them all to have.</summary>
    internal Packet Extension(int number, int moreUnits = 0)
    {
        var start = Append(number, 8 + (moreUnits * 8));
        _bytes[start + 1] = (byte)moreUnits;
        return Inside(start);
    }

    /// <summary>IPv6's fragment header.</summary>
    /// <param name="offset">In bytes, a multiple of eight.</param>
    /// <param name="reserved">The byte that is a length in the other extension headers and means nothing here.</param>
    internal Packet Fragment(int offset, bool moreFragments, byte reserved = 0)
    {
        var start = Append(44, 8);
        _bytes[start + 1] = reserved;
        (_bytes[start + 2], _bytes[start + 3]) = ((byte)(offset >> 8), (byte)(offset | (moreFragments ? 1 : 0)));
        return Inside(start);
    }

    /// <summary>RFC 4302.</summary>
    /// <param name="checkLength">Bytes of the integrity check value: twelve are usual.</param>
    internal Packet Authentication(int checkLength = 12)
    {
        var start = Append(51, 12 + checkLength);
        _bytes[start + 1] = (byte)(((12 + checkLength) / 4) - 2);
        return Inside(start);
    }

    /// <param name="options">Bytes of options, a multiple of four.</param>
    internal Packet Tcp(int options = 0)
    {
        var start = Append(6, 20 + options);
        _bytes[start + 12] = (byte)((20 + options) / 4 << 4);
        return this;
    }

    internal Packet Udp()
    {
        var start = Append(17, 8);
        _lengths.Add((start + 4, start));
        return this;
    }

    internal Packet Icmp() => Message(1, 8);

    internal Packet Icmpv6() => Message(58, 8);

    internal Packet Sctp() => Message(132, 12);

    /// <summary>RFC 4303: what is inside is encrypted.</summary>
    internal Packet Esp() => Message(50, 8);

    internal Packet Gre() => Message(47, 4);

    internal Packet Arp() => EtherType(0x0806).Bytes(28);

    internal Packet Bytes(int count)
    {
        for (var i = 0; i < count; i++)
        {
            // None of it looks like the headers that the programs know.
            _bytes.Add(0xee);
        }
        return this;
    }

    /// <summary>Changes a byte that is written already.</summary>
    /// <param name="fromEnd">Where it is: -1 is the last one.</param>
    internal Packet Set(int fromEnd, int value)
    {
        _bytes[Length + fromEnd] = (byte)value;
        return this;
    }

    /// <summary>Appends bytes until the whole frame is this long.</summary>
    internal Packet FillTo(int length) => Bytes(length - Length);

    /// <summary>Ends the frame, lengths filled in.</summary>
    internal byte[] ToArray()
    {
        byte[] frame = [.. _bytes];
        foreach (var (field, from) in _lengths)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(field), (ushort)(frame.Length - from));
        }
        return frame;
    }

    private Packet Tag(int type)
    {
        EtherType(type);
        _bytes.AddRange([0, 42, 0, 0]);
        _nextAt = Length - 2;
        return this;
    }

    private Packet Message(int protocol, int length)
    {
        Append(protocol, length);
        return this;
    }

    private int Append(int protocol, int length)
    {
        Protocol(protocol);
        var start = Length;
        _bytes.AddRange(Enumerable.Repeat((byte)0, length));
        return start;
    }

    private void Name(int etherType, int protocol) => _ = _insideIp ? Protocol(protocol) : EtherType(etherType);

    private Packet Inside(int nextAt)
    {
        _insideIp = true;
        _nextAt = nextAt;
        return this;
    }
}

/// <summary>What BPF_PROG_TEST_RUN takes of a struct __sk_buff (net/bpf/test_run.c, convert___skb_to_skb).</summary>
internal readonly record struct SkbContext(int Ifindex, int GsoSize = 0, int GsoSegments = 0)
{
    private const int Length = 192;
    private const int IfindexOffset = 40;
    private const int GsoSegmentsOffset = 164;
    private const int GsoSizeOffset = 176;

    internal byte[] ToArray()
    {
        var context = new byte[Length];
        BitConverter.TryWriteBytes(context.AsSpan(IfindexOffset), Ifindex);
        BitConverter.TryWriteBytes(context.AsSpan(GsoSegmentsOffset), GsoSegments);
        BitConverter.TryWriteBytes(context.AsSpan(GsoSizeOffset), GsoSize);
        return context;
    }
}
