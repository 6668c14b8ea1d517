using System.Globalization;
using System.Net;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// The proxy that the environment names for a server: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or the same in small letters, as programs in Go such as
/// kubectl read them (https://pkg.go.dev/golang.org/x/net/http/httpproxy). .NET itself supports neither CIDR, nor "*", nor ports.
/// </summary>
internal static class EnvironmentProxy
{
    /// <returns>The proxy; null: the server is reached directly.</returns>
    /// <exception cref="ApiUnreachableException">The variable is not the address of a proxy.</exception>
    internal static Uri? Find(AccessEnvironment environment, Uri server)
    {
        string[] names = server.Scheme == "https" ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"];
        var text = environment[names];
        return text.Length == 0 || IsExempt(environment["NO_PROXY", "no_proxy"], server) ? null : Parse(text)
            ?? throw new ApiUnreachableException($"{names[0]} is '{text}', which is not a proxy; write an address like http://proxy:3128, with http, https or socks5");
    }

    /// <returns>The proxy, by HTTP if the text has no scheme; null if the text is not the address of a proxy.</returns>
    internal static Uri? Parse(string text) =>
        Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}", UriKind.Absolute, out var proxy) && proxy.Host.Length > 0 ? proxy : null;

    /// <param name="list">Hosts, domains, addresses and networks, separated by commas; hosts and addresses may have a port.</param>
    internal static bool IsExempt(string list, Uri server)
    {
        var host = server.IdnHost.TrimEnd('.').ToLowerInvariant();
        var address = IPAddress.TryParse(host.Trim('[', ']'), out var parsed) ? Unmap(parsed) : null;
        if (host == "localhost" || (address is not null && IPAddress.IsLoopback(address)))
        {
            return true;
        }
        return list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Any(entry => entry == "*" || Matches(entry.ToLowerInvariant(), host, address, server.Port));
    }

    private static bool Matches(string entry, string host, IPAddress? address, int port)
    {
        if (entry.Contains('/'))
        {
            return address is not null && IsInNetwork(entry, address);
        }
        var (name, wanted) = Split(entry);
        if (name.Length == 0 || (wanted.Length > 0 && wanted != port.ToString(CultureInfo.InvariantCulture)))
        {
            return false;
        }
        if (!name.StartsWith('[') && IPAddress.TryParse(name, out var exempt))
        {
            return Unmap(exempt).Equals(address);
        }
        // With a leading dot or "*." the domain itself is not included.
        var domain = name.StartsWith("*.", StringComparison.Ordinal) ? name[1..] : name;
        return domain.StartsWith('.') ? host.EndsWith(domain, StringComparison.Ordinal) : host == domain || host.EndsWith($".{domain}", StringComparison.Ordinal);
    }

    private static bool IsInNetwork(string entry, IPAddress address)
    {
        var slash = entry.IndexOf('/');
        if (!IPAddress.TryParse(entry[..slash], out var prefix) || prefix.AddressFamily != address.AddressFamily
            || !byte.TryParse(entry[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var length))
        {
            return false;
        }
        var (network, bytes) = (prefix.GetAddressBytes(), address.GetAddressBytes());
        // IPNetwork refuses an address with bits behind the prefix length, which is common in NO_PROXY.
        return length <= network.Length * 8 && Enumerable.Range(0, length).All(bit => ((network[bit / 8] ^ bytes[bit / 8]) & (0x80 >> (bit % 8))) == 0);
    }

    /// <summary>Splits host:port and [address]:port; an IPv6 address without brackets has no port.</summary>
    private static (string Host, string Port) Split(string entry)
    {
        var colon = entry.LastIndexOf(':');
        return entry.StartsWith('[') && entry.IndexOf("]:", StringComparison.Ordinal) == colon - 1 ? (entry[1..(colon - 1)], entry[(colon + 1)..])
            : colon >= 0 && entry.IndexOf(':') == colon ? (entry[..colon], entry[(colon + 1)..])
            : (entry, "");
    }

    private static IPAddress Unmap(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
