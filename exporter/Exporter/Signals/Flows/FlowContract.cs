using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Exporter.Bpf;
using Exporter.Records;

// The types of bpf/tc/flow.h, field by field. ContractTests compares them with the BTF of the built object.
namespace Exporter.Signals.Flows;

/// <summary>struct flow_key. Addresses and ports are in the order of the packet's bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlowKey : IEquatable<FlowKey>
{
    public int Ifindex;
    public FlowAddressBytes Local;
    public FlowAddressBytes Remote;
    public ushort LocalPort;
    public ushort RemotePort;
    public byte Family;
    public byte Protocol;
    public ushort Reserved;

    /// <summary>FLOW_NO_FAMILY: the row of an interface, or of the map.</summary>
    public const byte NoFamily = 0;

    /// <summary>FLOW_IPV4.</summary>
    public const byte Ipv4 = 4;

    /// <summary>FLOW_IPV6.</summary>
    public const byte Ipv6 = 6;

    /// <summary>Differs with each process: a pod chooses its tuples.</summary>
    private static readonly long Seed = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(sizeof(long)));

    /// <summary>The row with the limits of the whole map.</summary>
    public static FlowKey OfMap => default;

    public readonly bool IsFlow => Family != NoFamily;

    public readonly bool IsTcp => Protocol == IpProtocol.Tcp;

    /// <summary>Whether the ports are types and codes of messages.</summary>
    public readonly bool IsIcmp => IpProtocol.IsIcmp(Protocol);

    public readonly FlowAddress LocalAddress => FlowAddress.From(Local, Family == Ipv6);

    public readonly FlowAddress RemoteAddress => FlowAddress.From(Remote, Family == Ipv6);

    public readonly ushort LocalPortNumber => BinaryPrimitives.ReverseEndianness(LocalPort);

    public readonly ushort RemotePortNumber => BinaryPrimitives.ReverseEndianness(RemotePort);

    /// <summary>4 or 16 bytes.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> LocalBytes => ((ReadOnlySpan<byte>)Local)[..AddressLength];

    /// <summary>4 or 16 bytes.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> RemoteBytes => ((ReadOnlySpan<byte>)Remote)[..AddressLength];

    private readonly int AddressLength => Family == Ipv6 ? 16 : 4;

    /// <summary>Whether an interface's row is of packets that its pod has sent: FLOW_TRANSMIT.</summary>
    public readonly bool IsTransmit => Protocol == 0;

    public static bool operator ==(in FlowKey left, in FlowKey right) => left.Equals(right);

    public static bool operator !=(in FlowKey left, in FlowKey right) => !left.Equals(right);

    public readonly bool Equals(FlowKey other) => Bytes(this).SequenceEqual(Bytes(other));

    public override readonly bool Equals(object? obj) => obj is FlowKey other && Equals(other);

    public override readonly int GetHashCode() => (int)XxHash3.HashToUInt64(Bytes(this), Seed);

    private static ReadOnlySpan<byte> Bytes(in FlowKey key) => MemoryMarshal.AsBytes(new ReadOnlySpan<FlowKey>(in key));
}

/// <summary>An IPv4 address has its four bytes first.</summary>
[InlineArray(16)]
internal struct FlowAddressBytes
{
    private byte _first;
}

/// <summary>FLOW_FLAG_SET or FLOW_FLAG_EARLIER for each TCP flag, from FIN up; 0: it was never set.</summary>
[InlineArray(8)]
internal struct FlowFlags
{
    private byte _first;

    /// <summary>The flags of all packets, as a TCP header has them.</summary>
    public readonly byte Bits => Gather(Word | (Word >> 1));

    /// <summary>The flags of the packets since the last SYN that began a connection.</summary>
    public readonly byte CurrentBits => Gather(Word);

    private readonly ulong Word => BinaryPrimitives.ReadUInt64LittleEndian(this);

    /// <summary>The lowest bit of each byte: of the first byte the lowest.</summary>
    private static byte Gather(ulong word) => (byte)(((word & 0x0101010101010101) * 0x0102040810204080) >> 56);
}

/// <summary>struct flow_half: what one end has sent.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlowHalf
{
    public ulong Packets;
    public ulong Bytes;
    public ulong Segments;
    public FlowFlags Flags;

    /// <summary>Low half of jiffies; 0: no packet.</summary>
    public uint First;

    public uint Last;
    public uint Syns;
    public uint Resets;
    public uint InitialSeq;
    public uint Connections;
}

/// <summary>struct flow_value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlowValue
{
    public FlowHalf Transmit;
    public uint SrttUs;
    public uint RttMinUs;
    public FlowHalf Receive;
    public uint Retransmits;
    public byte HasSocket;
    public byte Origin;
    public ushort Reserved;

    /// <summary>Whether the pod has sent the first packet since the last swap.</summary>
    public readonly bool IsFromPod => Origin == 0;

    /// <summary>The words by names that stay the same whatever is added to the structure.</summary>
    public static RowFields Fields { get; } = new("flows", [.. Half("transmit"), "transmit.rtt", .. Half("receive"), "socket"]);

    private static IEnumerable<string> Half(string direction) =>
        ((string[])["packets", "bytes", "segments", "flags", "times", "syns", "connections"]).Select(word => $"{direction}.{word}");
}

/// <summary>struct flow_count.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct FlowCount(ulong Packets, ulong Bytes);

/// <summary>FLOW_UNRECORDED counts.</summary>
[InlineArray(FlowRest.Reasons)]
internal struct FlowUnrecorded
{
    private FlowCount _first;
}

/// <summary>struct flow_rest: the row of an interface and a direction; the limits are in the map's own row.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlowRest
{
    /// <summary>FLOW_UNRECORDED: the first of <see cref="RestReason"/> are the kernel's.</summary>
    public const int Reasons = 6;

    /// <summary>Indexed by <see cref="RestReason"/>.</summary>
    public FlowUnrecorded Unrecorded;

    public ulong Inserts;
    public uint MaxFlows;
    public uint PodMax;
    public uint PodShare;
    public uint Reserved;
    public ulong Reserved2;

    /// <summary>Packets of all reasons.</summary>
    public readonly ulong Packets
    {
        get
        {
            var packets = 0ul;
            foreach (var count in (ReadOnlySpan<FlowCount>)Unrecorded)
            {
                packets += count.Packets;
            }
            return packets;
        }
    }

    /// <summary>A row of the map is a flow's or an interface's, by its key.</summary>
    public static FlowRest Of(in FlowValue value) => RowFields.ValueOf<FlowRest>(RowFields.RowOf(value));

    /// <summary>All packets of a row, of a flow or not.</summary>
    public static ulong PacketsOf(in FlowKey key, in FlowValue value) => key.IsFlow ? value.Transmit.Packets + value.Receive.Packets : Of(value).Packets;

    public readonly FlowValue AsValue() => RowFields.ValueOf<FlowValue>(RowFields.RowOf(this));
}

/// <summary>struct flow_settings.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct FlowSettings(uint IsOn, uint Sampling);
