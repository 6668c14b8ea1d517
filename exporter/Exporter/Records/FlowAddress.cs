using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Exporter.Records;

/// <summary>
/// An IPv4 or IPv6 address that is kept without allocation; the default value is no address. An IPv4 address that is mapped to IPv6 stays an
/// IPv6 address. Addresses are ordered by family, then as numbers in network byte order.
/// </summary>
internal readonly record struct FlowAddress : IComparable<FlowAddress>
{
    /// <summary>Bytes of the longest text: eight groups of four digits, or an IPv4 address behind ::ffff:.</summary>
    internal const int MaxText = 39;

    private const int Groups = 8;

    private static readonly SearchValues<char> Letters = SearchValues.Create("0123456789abcdefABCDEF:.");

    /// <summary>An IPv4 address is in the low 32 bits.</summary>
    private readonly ulong _high;

    private readonly ulong _low;

    private FlowAddress(ulong high, ulong low, IpFamily family)
    {
        _high = high;
        _low = low;
        Family = family;
    }

    internal IpFamily Family { get; }

    internal bool IsNone => Family == IpFamily.None;

    /// <summary>0, 32 or 128.</summary>
    internal int Bits => Family switch { IpFamily.Ipv4 => 32, IpFamily.Ipv6 => 128, _ => 0 };

    /// <summary>Reads the first 4 or 16 bytes, which are in network byte order.</summary>
    internal static FlowAddress From(ReadOnlySpan<byte> bytes, bool isIpv6) => isIpv6
        ? new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]), IpFamily.Ipv6)
        : new(0, BinaryPrimitives.ReadUInt32BigEndian(bytes), IpFamily.Ipv4);

    /// <exception cref="FormatException">The text is not an address.</exception>
    internal static FlowAddress Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is not an IPv4 or IPv6 address");

    /// <summary>Reads the text of an address without a scope, a port or brackets, and IPv4 as four decimal numbers.</summary>
    internal static bool TryParse(ReadOnlySpan<char> text, out FlowAddress address)
    {
        address = default;
        if (text.ContainsAnyExcept(Letters) || !IPAddress.TryParse(text, out var parsed))
        {
            return false;
        }
        var isIpv6 = parsed.AddressFamily == AddressFamily.InterNetworkV6;
        // IPAddress also reads IPv4 addresses with fewer numbers, and octal and hexadecimal ones.
        if (!isIpv6 && !text.SequenceEqual(parsed.ToString()))
        {
            return false;
        }
        address = From(parsed);
        return true;
    }

    /// <summary>The address without its scope.</summary>
    internal static FlowAddress From(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        _ = address.TryWriteBytes(bytes, out var length);
        return From(bytes, isIpv6: length == bytes.Length);
    }

    /// <summary>Writes 4 or 16 bytes in network byte order, and returns how many; 0 for no address.</summary>
    internal int Write(Span<byte> bytes)
    {
        switch (Family)
        {
            case IpFamily.Ipv4:
                BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)_low);
                return 4;
            case IpFamily.Ipv6:
                BinaryPrimitives.WriteUInt64BigEndian(bytes, _high);
                BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], _low);
                return 16;
            default:
                return 0;
        }
    }

    /// <summary>The address with all bits behind the first ones cleared.</summary>
    /// <param name="bits">0 to <see cref="Bits"/>.</param>
    internal FlowAddress Prefix(int bits)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bits);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bits, Bits);
        return Family switch
        {
            IpFamily.Ipv4 => new(0, _low & First(bits + 32), Family),
            IpFamily.Ipv6 => new(_high & First(Math.Min(bits, 64)), _low & First(Math.Max(bits - 64, 0)), Family),
            _ => this,
        };

        static ulong First(int bits) => bits == 0 ? 0 : ulong.MaxValue << (64 - bits);
    }

    public int CompareTo(FlowAddress other) =>
        Family != other.Family ? Family.CompareTo(other.Family) : _high != other._high ? _high.CompareTo(other._high) : _low.CompareTo(other._low);

    public static bool operator <(FlowAddress left, FlowAddress right) => left.CompareTo(right) < 0;

    public static bool operator >(FlowAddress left, FlowAddress right) => left.CompareTo(right) > 0;

    public static bool operator <=(FlowAddress left, FlowAddress right) => left.CompareTo(right) <= 0;

    public static bool operator >=(FlowAddress left, FlowAddress right) => left.CompareTo(right) >= 0;

    /// <summary>
    /// Writes the canonical text (RFC 5952): lower case, no leading zeros, the first of the longest runs of at least two zero groups as ::, and
    /// an IPv4-mapped address with its IPv4 address in decimal.
    /// </summary>
    /// <returns>Whether there was room; for no address, true without a byte.</returns>
    internal bool TryFormat(Span<byte> utf8, out int written)
    {
        Span<byte> text = stackalloc byte[MaxText];
        written = Family switch
        {
            IpFamily.Ipv4 => WriteIpv4((uint)_low, text),
            IpFamily.Ipv6 => WriteIpv6(text),
            _ => 0,
        };
        if (text[..written].TryCopyTo(utf8))
        {
            return true;
        }
        written = 0;
        return false;
    }

    public override string ToString()
    {
        Span<byte> text = stackalloc byte[MaxText];
        _ = TryFormat(text, out var written);
        return Encoding.ASCII.GetString(text[..written]);
    }

    private static int WriteIpv4(uint address, Span<byte> text)
    {
        var at = 0;
        for (var shift = 24; shift >= 0; shift -= 8)
        {
            if (shift < 24)
            {
                text[at++] = (byte)'.';
            }
            _ = ((byte)(address >> shift)).TryFormat(text[at..], out var digits);
            at += digits;
        }
        return at;
    }

    private int WriteIpv6(Span<byte> text)
    {
        if (_high == 0 && _low >> 32 == 0xffff)
        {
            "::ffff:"u8.CopyTo(text);
            return 7 + WriteIpv4((uint)_low, text[7..]);
        }
        var (zeros, length) = LongestZeros();
        var at = 0;
        for (var group = 0; group < Groups; group++)
        {
            if (group == zeros)
            {
                text[at++] = (byte)':';
                text[at++] = (byte)':';
                group += length - 1;
                continue;
            }
            if (group > 0 && group != zeros + length)
            {
                text[at++] = (byte)':';
            }
            _ = Group(group).TryFormat(text[at..], out var digits, "x");
            at += digits;
        }
        return at;
    }

    /// <summary>A group of -1 with no length where there is no run of at least two.</summary>
    private (int Group, int Length) LongestZeros()
    {
        var (longest, length) = (-1, 1);
        for (var start = 0; start < Groups; start++)
        {
            var end = start;
            while (end < Groups && Group(end) == 0)
            {
                end++;
            }
            if (end - start > length)
            {
                (longest, length) = (start, end - start);
            }
            start = end;
        }
        return longest < 0 ? (-1, 0) : (longest, length);
    }

    private ushort Group(int index) => (ushort)((index < 4 ? _high : _low) >> (48 - (16 * (index % 4))));
}
