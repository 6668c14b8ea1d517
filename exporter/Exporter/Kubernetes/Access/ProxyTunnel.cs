using System.Globalization;
using System.Net;
using System.Text;

namespace Exporter.Kubernetes.Access;

/// <summary>Makes a proxy connect to a server: by CONNECT (RFC 9110, section 9.3.6), or by SOCKS 5 (RFC 1928 and 1929).</summary>
/// <param name="stream">A connection to the proxy. The caller disposes it.</param>
internal sealed class ProxyTunnel(Uri proxy, Stream stream)
{
    internal const int SocksPort = 1080;

    private const int MaxAnswerBytes = 16 << 10;

    private const byte SocksVersion = 5;

    private static readonly string[] SocksErrors =
    [
        "succeeded", "general failure", "the connection is not allowed", "the network is unreachable", "the host is unreachable", "the connection was refused", "it took too long",
        "CONNECT is not supported", "this kind of address is not supported",
    ];

    private string Name => $"the proxy {proxy.Scheme}://{proxy.Authority}";

    /// <exception cref="ApiUnreachableException">The proxy refuses, or ends the connection.</exception>
    internal async Task OpenAsync(string host, int port, CancellationToken cancellationToken)
    {
        try
        {
            await (proxy.Scheme is "socks5" or "socks5h" ? OpenSocksAsync(host, port, cancellationToken) : ConnectAsync(host, port, cancellationToken));
        }
        catch (IOException e)
        {
            throw new ApiUnreachableException($"{Name} ended the connection instead of opening one to {host}:{port}", e);
        }
    }

    private async Task ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        var authority = host.Contains(':') ? $"[{host}]:{port}" : $"{host}:{port}";
        var authorization = proxy.UserInfo.Length > 0 ? $"Proxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(proxy.UserInfo)))}\r\n" : "";
        var request = $"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {UserAgent.Text}\r\n{authorization}\r\n";
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request), cancellationToken);
        var answer = await ReadHeadersAsync(cancellationToken);
        // HTTP/1.1 200 and a reason phrase.
        var status = answer.Split("\r\n")[0].Split(' ', 3);
        if (status.Length < 2 || !status[0].StartsWith("HTTP/", StringComparison.Ordinal))
        {
            throw new ApiUnreachableException($"{Name} does not speak HTTP");
        }
        if (status[1] != "200")
        {
            var wants = status[1] == "407" ? "; it wants a name and a password, as in http://name:password@proxy:3128" : "";
            throw new ApiUnreachableException($"{Name} refuses a connection to {authority}: {string.Join(' ', status[1..])}{wants}");
        }
    }

    /// <summary>Reads the headers byte by byte: the bytes that follow are the server's.</summary>
    private async Task<string> ReadHeadersAsync(CancellationToken cancellationToken)
    {
        var answer = new List<byte>();
        var next = new byte[1];
        while (!answer.TakeLast(4).SequenceEqual("\r\n\r\n"u8.ToArray()))
        {
            await stream.ReadExactlyAsync(next, cancellationToken);
            answer.Add(next[0]);
            if (answer.Count > MaxAnswerBytes)
            {
                throw new ApiUnreachableException($"{Name} answers with more than {MaxAnswerBytes >> 10} KiB of headers");
            }
        }
        return Encoding.Latin1.GetString([.. answer]);
    }

    private async Task OpenSocksAsync(string host, int port, CancellationToken cancellationToken)
    {
        const byte NoAuthentication = 0;
        const byte Password = 2;
        var hasPassword = proxy.UserInfo.Length > 0;
        await stream.WriteAsync(hasPassword ? new byte[] { SocksVersion, 2, NoAuthentication, Password } : new byte[] { SocksVersion, 1, NoAuthentication }, cancellationToken);
        var chosen = await ReadAsync(2, cancellationToken);
        if (chosen[0] != SocksVersion)
        {
            throw new ApiUnreachableException($"{Name} does not speak SOCKS 5");
        }
        if (chosen[1] == Password && hasPassword)
        {
            await LogInAsync(cancellationToken);
        }
        else if (chosen[1] != NoAuthentication)
        {
            throw new ApiUnreachableException($"{Name} wants another authentication than {(hasPassword ? "a name and a password" : "none; write it as socks5://name:password@proxy:1080")}");
        }
        await stream.WriteAsync(WriteSocksRequest(host, port), cancellationToken);
        var answer = await ReadAsync(4, cancellationToken);
        if (answer[1] != 0)
        {
            var reason = answer[1] < SocksErrors.Length ? SocksErrors[answer[1]] : answer[1].ToString(CultureInfo.InvariantCulture);
            throw new ApiUnreachableException($"{Name} refuses a connection to {host}:{port}: {reason}");
        }
        // The address that the proxy connected from, and a port of two bytes.
        var length = answer[3] switch { 1 => 4, 4 => 16, _ => (await ReadAsync(1, cancellationToken))[0] };
        await ReadAsync(length + 2, cancellationToken);
    }

    private async Task LogInAsync(CancellationToken cancellationToken)
    {
        var parts = proxy.UserInfo.Split(':', 2);
        var (name, password) = (Encoding.UTF8.GetBytes(Uri.UnescapeDataString(parts[0])), Encoding.UTF8.GetBytes(parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : ""));
        if (name.Length > byte.MaxValue || password.Length > byte.MaxValue)
        {
            throw new ApiUnreachableException($"{Name} accepts names and passwords of at most {byte.MaxValue} bytes");
        }
        byte[] request = [1, (byte)name.Length, .. name, (byte)password.Length, .. password];
        await stream.WriteAsync(request, cancellationToken);
        if ((await ReadAsync(2, cancellationToken))[1] != 0)
        {
            throw new ApiUnreachableException($"{Name} refuses the name and the password");
        }
    }

    /// <summary>The server's address for SOCKS. A host name is resolved by the proxy.</summary>
    private static byte[] WriteSocksRequest(string host, int port)
    {
        const byte Connect = 1;
        byte[] address = IPAddress.TryParse(host, out var parsed)
            ? [(byte)(parsed.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 1 : 4), .. parsed.GetAddressBytes()]
            : [3, (byte)host.Length, .. Encoding.ASCII.GetBytes(host)];
        return [SocksVersion, Connect, 0, .. address, (byte)(port >> 8), (byte)port];
    }

    private async Task<byte[]> ReadAsync(int length, CancellationToken cancellationToken)
    {
        var bytes = new byte[length];
        await stream.ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    }
}
