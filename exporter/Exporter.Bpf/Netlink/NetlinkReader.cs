using System.Runtime.InteropServices;
using System.Text;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>One received netlink message.</summary>
internal readonly ref struct NetlinkMessage(ushort type, ushort flags, uint sequence, ReadOnlySpan<byte> payload)
{
    internal ushort Type { get; } = type;

    internal ushort Flags { get; } = flags;

    internal uint Sequence { get; } = sequence;

    /// <summary>The bytes after the header.</summary>
    internal ReadOnlySpan<byte> Payload { get; } = payload;

    /// <summary>The fixed part, such as struct ifinfomsg; zeros where the message is too short to have it.</summary>
    internal T Body<T>()
        where T : unmanaged => MemoryMarshal.TryRead<T>(Payload, out var body) ? body : default;

    /// <summary>The bytes after the fixed part.</summary>
    internal unsafe NetlinkAttributes Attributes<T>()
        where T : unmanaged => new(Payload[Math.Min(Payload.Length, Align(sizeof(T)))..]);
}

/// <summary>Walks over the messages of one datagram. Stops at a truncated one.</summary>
internal ref struct NetlinkMessages(ReadOnlySpan<byte> datagram)
{
    private ReadOnlySpan<byte> _rest = datagram;

    internal bool TryRead(out NetlinkMessage message)
    {
        message = default;
        if (_rest.Length < MessageHeaderLength)
        {
            return false;
        }
        var length = MemoryMarshal.Read<int>(_rest);
        if (length < MessageHeaderLength || length > _rest.Length)
        {
            return false;
        }
        message = new(
            MemoryMarshal.Read<ushort>(_rest[4..]),
            MemoryMarshal.Read<ushort>(_rest[6..]),
            MemoryMarshal.Read<uint>(_rest[8..]),
            _rest[MessageHeaderLength..length]);
        _rest = _rest[Math.Min(_rest.Length, Align(length))..];
        return true;
    }
}

/// <summary>Walks over attributes. Stops at a truncated one.</summary>
internal ref struct NetlinkAttributes(ReadOnlySpan<byte> attributes)
{
    private ReadOnlySpan<byte> _rest = attributes;

    internal bool TryRead(out NetlinkAttribute attribute)
    {
        attribute = default;
        if (_rest.Length < AttributeHeaderLength)
        {
            return false;
        }
        var length = MemoryMarshal.Read<ushort>(_rest);
        if (length < AttributeHeaderLength || length > _rest.Length)
        {
            return false;
        }
        var type = (ushort)(MemoryMarshal.Read<ushort>(_rest[2..]) & NLA_TYPE_MASK);
        attribute = new(type, _rest[AttributeHeaderLength..length]);
        _rest = _rest[Math.Min(_rest.Length, Align(length))..];
        return true;
    }
}

/// <summary>One attribute: its type without flags, and its value.</summary>
internal readonly ref struct NetlinkAttribute(ushort type, ReadOnlySpan<byte> value)
{
    internal ushort Type { get; } = type;

    internal ReadOnlySpan<byte> Value { get; } = value;

    internal NetlinkAttributes Nested => new(Value);

    /// <summary>Null where the value is too short: a kernel would not send it.</summary>
    internal int? Int32 => Value.Length >= sizeof(int) ? MemoryMarshal.Read<int>(Value) : null;

    /// <summary>The bytes as a number, in the order of the wire; 0 where they do not fit into it.</summary>
    internal ulong HardwareAddress
    {
        get
        {
            var address = 0ul;
            foreach (var part in Value.Length <= sizeof(ulong) ? Value : default)
            {
                address = (address << 8) | part;
            }
            return address;
        }
    }

    internal string Text => Encoding.UTF8.GetString(Value.TrimEnd((byte)0));
}
