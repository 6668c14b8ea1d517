using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Exporter.Chart.Tests.Support;

/// <summary>One request as a server received it: what decides who asked, and for what.</summary>
internal sealed record ReceivedRequest(string Line, IReadOnlyList<string> Headers, string Certificate)
{
    private static readonly string[] Compared = ["host", "authorization", "accept-encoding", "impersonate-"];

    /// <summary>The path, the headers that matter and the client's certificates, in an order of their own.</summary>
    internal string Summary =>
        string.Join('\n', [Line, .. Headers.Where(header => Compared.Any(header.StartsWith)).Order(StringComparer.Ordinal), $"certificate: {Certificate}"]);
}

/// <summary>An HTTP server on loopback, with TLS if it has a certificate, that answers every request with an empty list and asks for a client's certificate.</summary>
internal sealed class TlsServer : IDisposable
{
    private readonly TcpListener _listener;
    private readonly SslStreamCertificateContext? _certificate;
    private readonly ConcurrentQueue<ReceivedRequest> _requests = new();

    /// <param name="certificate">Null: without TLS.</param>
    internal TlsServer((X509Certificate2 Own, X509Certificate2Collection Sent)? certificate, IPAddress? address = null)
    {
        _listener = new(address ?? IPAddress.Loopback, 0);
        if (certificate is { } shown)
        {
            _certificate = SslStreamCertificateContext.Create(shown.Own, shown.Sent, offline: true);
        }
        _listener.Start();
        _ = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The requests since the last call.</summary>
    internal IReadOnlyList<ReceivedRequest> Take()
    {
        var taken = new List<ReceivedRequest>();
        while (_requests.TryDequeue(out var request))
        {
            taken.Add(request);
        }
        return taken;
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptSocketAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var owned = socket;
        try
        {
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            var certificates = "";
            if (_certificate is not null)
            {
                var tls = new SslStream(stream, false, (_, certificate, chain, _) =>
                {
                    certificates = certificate is X509Certificate2 own ? string.Join(' ', [own.Subject, .. chain!.ChainPolicy.ExtraStore.Select(sent => sent.Subject)]) : "";
                    return true;
                });
                stream = tls;
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificateContext = _certificate,
                    ClientCertificateRequired = true,
                });
            }
            await using (stream)
            {
                using var reader = new StreamReader(stream, Encoding.Latin1);
                var line = await reader.ReadLineAsync() ?? "";
                if (line.Length == 0)
                {
                    return;
                }
                var headers = new List<string>();
                while (await reader.ReadLineAsync() is { Length: > 0 } header)
                {
                    // Names of headers have no case.
                    var colon = header.IndexOf(':');
                    headers.Add(header[..colon].ToLowerInvariant() + header[colon..]);
                }
                _requests.Enqueue(new(line, headers, certificates));
                await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"u8.ToArray());
            }
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException or ObjectDisposedException or SocketException)
        {
            // The client did not like the certificate.
        }
    }
}
