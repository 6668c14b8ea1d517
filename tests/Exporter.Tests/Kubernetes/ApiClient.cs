using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Exporter.Tests.Kubernetes;

/// <summary>A plain client, which trusts the server's authority and nothing else.</summary>
internal sealed class ApiClient : IDisposable
{
    private readonly X509Certificate2 _authority;
    private readonly HttpClient _http;
    private readonly ApiServer _server;

    internal ApiClient(ApiServer server)
    {
        _server = server;
        _authority = X509Certificate2.CreateFromPem(File.ReadAllText(server.Files.Authority));
        _http = new(new SocketsHttpHandler { SslOptions = new() { CertificateChainPolicy = TrustAuthority() } }) { BaseAddress = server.Address };
        Token = File.ReadAllText(server.Files.Token);
    }

    /// <summary>Null to send none.</summary>
    internal string? Token { get; set; }

    public void Dispose()
    {
        _http.Dispose();
        _authority.Dispose();
    }

    internal Task<HttpResponseMessage> GetAsync(string pathAndQuery, string? acceptEncoding = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, pathAndQuery);
        request.Headers.Authorization = Token is null ? null : new AuthenticationHeaderValue("Bearer", Token);
        if (acceptEncoding is not null)
        {
            request.Headers.AcceptEncoding.ParseAdd(acceptEncoding);
        }
        return _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>A connection of its own, to see what is sent on it.</summary>
    internal async Task<SslStream> ConnectAsync(string pathAndQuery)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", _server.Port);
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", CertificateChainPolicy = TrustAuthority() });
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET {pathAndQuery} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {Token}\r\n\r\n"));
        return stream;
    }

    private X509ChainPolicy TrustAuthority() =>
        new() { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { _authority }, RevocationMode = X509RevocationMode.NoCheck };
}
