using System.Buffers.Binary;
using System.Net;

namespace Exporter.Peers;

/// <summary>
/// Addresses as keys: 128 bits in the order of the network, IPv4 mapped into IPv6 (::ffff:0:0/96, RFC 4291 section 2.5.5.2). A mapped address is the
/// same key as the IPv4 address itself.
/// </summary>
internal static class PeerAddress
{
    internal const int Bits = 128;
    internal const int Ipv4Bits = 32;
    private const int Ipv4Bytes = 4;
    private const int Ipv6Bytes = 16;

    private static readonly UInt128 Mapped = (UInt128)0xffff << Ipv4Bits;

    /// <param name="address">4 or 16 bytes in the order of the network.</param>
    /// <exception cref="ArgumentException">It has another length.</exception>
    internal static UInt128 Key(ReadOnlySpan<byte> address) => address.Length switch
    {
        Ipv4Bytes => Mapped | BinaryPrimitives.ReadUInt32BigEndian(address),
        Ipv6Bytes => BinaryPrimitives.ReadUInt128BigEndian(address),
        _ => throw new ArgumentException($"An address has 4 or 16 bytes, not {address.Length}.", nameof(address)),
    };

    internal static UInt128 Key(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[Ipv6Bytes];
        return address.TryWriteBytes(bytes, out var length) ? Key(bytes[..length]) : default;
    }

    /// <summary>Whether it is the key of an IPv4 address, mapped or not.</summary>
    internal static bool IsIpv4(UInt128 key) => key >> Ipv4Bits == Mapped >> Ipv4Bits;

    /// <summary>The address of a key.</summary>
    /// <param name="isIpv4">Whether it is an IPv4 address, and not one that is mapped.</param>
    internal static IPAddress Address(UInt128 key, bool isIpv4)
    {
        Span<byte> bytes = stackalloc byte[Ipv6Bytes];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, key);
        return new(isIpv4 ? bytes[^Ipv4Bytes..] : bytes);
    }

    /// <summary>The bits of a prefix of this length, of 128.</summary>
    internal static UInt128 Mask(int length) => length == 0 ? UInt128.Zero : UInt128.MaxValue << (Bits - length);
}
