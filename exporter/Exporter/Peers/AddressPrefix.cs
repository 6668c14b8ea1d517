using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Exporter.Peers;

/// <summary>A network as CIDR notation writes it (RFC 4632, RFC 4291 section 2.3).</summary>
/// <param name="First">Its first address as a key (<see cref="PeerAddress"/>), with the bits behind the prefix as they were written.</param>
/// <param name="Length">Of 128 bits, also for IPv4.</param>
internal readonly record struct AddressPrefix(UInt128 First, int Length, bool IsIpv4)
{
    /// <summary>Its last address.</summary>
    internal UInt128 Last => First | ~PeerAddress.Mask(Length);

    /// <summary>The network that it lies in: without the bits behind the prefix.</summary>
    internal AddressPrefix Network => this with { First = First & PeerAddress.Mask(Length) };

    /// <summary>
    /// Reads an address, a slash and a length. Octets with leading zeros and IPv4 addresses in fewer than four parts are refused: programs read
    /// them differently.
    /// </summary>
    internal static AddressPrefix? Parse(string text)
    {
        if (text.Split('/') is not [var before, var after] || FindAddress(before) is not { } address)
        {
            return null;
        }
        var isIpv4 = address.AddressFamily == AddressFamily.InterNetwork;
        var bits = isIpv4 ? PeerAddress.Ipv4Bits : PeerAddress.Bits;
        return int.TryParse(after, NumberStyles.None, CultureInfo.InvariantCulture, out var length) && length <= bits
            ? new(PeerAddress.Key(address), PeerAddress.Bits - bits + length, isIpv4)
            : null;
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{PeerAddress.Address(First, IsIpv4)}/{Length - (IsIpv4 ? PeerAddress.Bits - PeerAddress.Ipv4Bits : 0)}");

    /// <summary>Null where the text is not an address in its usual form. An IPv6 address has no scope, and none is mapped from IPv4.</summary>
    private static IPAddress? FindAddress(string text)
    {
        if (!text.All(letter => char.IsAsciiHexDigit(letter) || letter is ':' or '.') || !IPAddress.TryParse(text, out var address))
        {
            return null;
        }
        return address.AddressFamily == AddressFamily.InterNetwork ? address.ToString() == text ? address : null : address.IsIPv4MappedToIPv6 ? null : address;
    }
}
