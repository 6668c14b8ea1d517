using System.Globalization;
using System.Net;

namespace Exporter.Kubernetes;

internal sealed record PodAddress
{
    public string? Ip { get; init; }

    /// <summary>
    /// Reads an address in any form that an API server delivers. Kubernetes reads octets with leading zeros as decimal numbers
    /// (k8s.io/utils/net ParseIPSloppy). <see cref="IPAddress.TryParse(string, out IPAddress)"/> reads them as octal ones, and also accepts
    /// ports, scopes and numbers without dots. An IPv4 address that is mapped to IPv6 is returned as IPv4.
    /// </summary>
    internal static IPAddress? Parse(string? text)
    {
        text = text?.Trim();
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }
        var last = text.LastIndexOf(':') + 1;
        if (text.Contains('.', StringComparison.Ordinal))
        {
            if (PlainOctets(text[last..]) is not { } octets)
            {
                return null;
            }
            text = text[..last] + octets;
        }
        else if (last == 0)
        {
            return null;
        }
        if (!text.All(character => char.IsAsciiHexDigit(character) || character is ':' or '.') || !IPAddress.TryParse(text, out var address))
        {
            return null;
        }
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static string? PlainOctets(string text)
    {
        var octets = text.Split('.');
        return octets.Length == 4 && octets.All(octet => octet.Length is > 0 and < 10 && octet.All(char.IsAsciiDigit))
            ? string.Join('.', octets.Select(octet => int.Parse(octet, CultureInfo.InvariantCulture)))
            : null;
    }
}
