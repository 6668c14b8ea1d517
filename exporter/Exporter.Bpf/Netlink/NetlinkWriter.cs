using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>Writes one netlink message: header, fixed part, attributes (netlink(7)).</summary>
internal ref struct NetlinkWriter
{
    private readonly Span<byte> _buffer;
    private int _length;

    internal NetlinkWriter(Span<byte> buffer, ushort type, ushort flags)
    {
        _buffer = buffer;
        _buffer.Clear();
        MemoryMarshal.Write(_buffer[4..], type);
        MemoryMarshal.Write(_buffer[6..], flags);
        _length = MessageHeaderLength;
    }

    /// <summary>The message so far, its length filled in.</summary>
    internal readonly Span<byte> Message
    {
        get
        {
            MemoryMarshal.Write(_buffer, _length);
            return _buffer[.._length];
        }
    }

    /// <summary>The fixed part behind the header, such as struct ifinfomsg.</summary>
    internal void Body<T>(in T body)
        where T : unmanaged
    {
        MemoryMarshal.Write(_buffer[_length..], body);
        _length = Align(_length + Unsafe.SizeOf<T>());
    }

    internal void Attribute<T>(ushort type, in T value)
        where T : unmanaged
    {
        AttributeHeader(type, Unsafe.SizeOf<T>());
        MemoryMarshal.Write(_buffer[(_length + AttributeHeaderLength)..], value);
        _length = Align(_length + AttributeHeaderLength + Unsafe.SizeOf<T>());
    }

    internal void Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        AttributeHeader(type, value.Length);
        value.CopyTo(_buffer[(_length + AttributeHeaderLength)..]);
        _length = Align(_length + AttributeHeaderLength + value.Length);
    }

    /// <summary>A string with its terminating zero.</summary>
    internal void Attribute(ushort type, string value)
    {
        var length = Encoding.UTF8.GetBytes(value, _buffer[(_length + AttributeHeaderLength)..]) + 1;
        AttributeHeader(type, length);
        _length = Align(_length + AttributeHeaderLength + length);
    }

    /// <summary>Starts an attribute that contains attributes; ends with <see cref="EndNested"/>.</summary>
    internal int BeginNested(ushort type)
    {
        var start = _length;
        AttributeHeader((ushort)(type | NLA_F_NESTED), 0);
        _length += AttributeHeaderLength;
        return start;
    }

    internal readonly void EndNested(int start) => MemoryMarshal.Write(_buffer[start..], (ushort)(_length - start));

    private readonly void AttributeHeader(ushort type, int length)
    {
        MemoryMarshal.Write(_buffer[_length..], (ushort)(AttributeHeaderLength + length));
        MemoryMarshal.Write(_buffer[(_length + 2)..], type);
    }
}
