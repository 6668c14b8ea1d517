using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// Opens connections to the API server: TCP, through a proxy if one is configured, and TLS. Each step has its own error. TLS is done here and not by
/// HttpClient, which can send no other name in the handshake than in the Host header.
/// </summary>
/// <param name="certificate">The client certificate; null: none.</param>
internal sealed class ApiDialer(ApiAccess access, ClientCertificate? certificate, AccessEnvironment environment)
{
    /// <summary>The limit for each step that a proxy has to answer, so that a silent proxy is not taken for a silent API server. Callers have limits for that.</summary>
    private static readonly TimeSpan ProxyLimit = TimeSpan.FromSeconds(8);

    /// <summary>
    /// TCP keepalive (tcp(7)): the time before the first probe, between probes, and their number. So a connection that was cut without FIN or RST,
    /// as by a firewall that dropped its state, ends 30 s after the last segment.
    /// </summary>
    private const int KeepAliveTime = 15, KeepAliveInterval = 5, KeepAliveProbes = 3;

    private readonly ServerTrust _trust = new(access.Authorities, access.AuthoritiesOrigin, environment);

    /// <returns>The stream that HTTP is spoken on.</returns>
    /// <exception cref="ApiUnreachableException">A step failed. The message has the reason.</exception>
    internal async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        var server = access.Server;
        var proxy = access.Proxy ?? EnvironmentProxy.Find(environment, server);
        Stream? stream = null;
        try
        {
            if (proxy is null)
            {
                stream = await OpenAsync(server, server.Authority, Timeout.InfiniteTimeSpan, cancellationToken);
            }
            else
            {
                var name = $"the proxy {Describe(proxy)}";
                stream = await OpenAsync(proxy, name, ProxyLimit, cancellationToken);
                if (proxy.Scheme == "https")
                {
                    stream = await AuthenticateAsync(stream, proxy, null, name, ProxyLimit, cancellationToken);
                }
                var tunnel = new ProxyTunnel(proxy, stream);
                await LimitAsync(name, ProxyLimit, limited => tunnel.OpenAsync(server.IdnHost.Trim('[', ']'), server.Port, limited), cancellationToken);
            }
            var through = proxy is null ? server.Authority : $"{server.Authority} through the proxy {Describe(proxy)}";
            return server.Scheme == "https" ? await AuthenticateAsync(stream, server, certificate, through, Timeout.InfiniteTimeSpan, cancellationToken) : stream;
        }
        catch
        {
            if (stream is not null)
            {
                await stream.DisposeAsync();
            }
            throw;
        }
    }

    /// <summary>An address without its password.</summary>
    private static string Describe(Uri proxy) => $"{proxy.Scheme}://{proxy.Authority}";

    private static async Task<Stream> OpenAsync(Uri address, string name, TimeSpan limit, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveTime);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, KeepAliveInterval);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, KeepAliveProbes);
            var port = address.Scheme is "socks5" or "socks5h" && address.Port < 0 ? ProxyTunnel.SocksPort : address.Port;
            await LimitAsync(name, limit, limited => socket.ConnectAsync(address.IdnHost.Trim('[', ']'), port, limited).AsTask(), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<Stream> AuthenticateAsync(Stream stream, Uri address, ClientCertificate? shown, string name, TimeSpan limit, CancellationToken cancellationToken)
    {
        var expected = access.TlsServerName.Length > 0 ? access.TlsServerName : address.IdnHost.Trim('[', ']');
        ApiUnreachableException? refusal = null;
        var tls = new SslStream(stream);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = expected,
            ApplicationProtocols = [SslApplicationProtocol.Http11],
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificateContext = shown?.Context,
            // SslStream builds a chain before the callback, which then ignores it: nothing has to be downloaded for that chain.
            CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true },
            RemoteCertificateValidationCallback = (_, presented, chain, _) => access.SkipsVerification || IsTrusted(presented as X509Certificate2, chain),
        };
        try
        {
            await LimitAsync(name, limit, limited => tls.AuthenticateAsClientAsync(options, limited), cancellationToken);
            return tls;
        }
        catch (Exception e) when (refusal is not null)
        {
            throw new ApiUnreachableException(refusal.Message, e);
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            throw new ApiUnreachableException($"TLS with {name} fails: {Failure.Describe(e)}", e);
        }

        bool IsTrusted(X509Certificate2? presented, X509Chain? chain)
        {
            try
            {
                _trust.Verify(presented, chain?.ChainPolicy.ExtraStore ?? [], expected, name);
                return true;
            }
            catch (ApiUnreachableException e)
            {
                refusal = e;
                return false;
            }
        }
    }

    /// <exception cref="ApiUnreachableException">The step failed or takes too long.</exception>
    private static async Task LimitAsync(string name, TimeSpan limit, Func<CancellationToken, Task> step, CancellationToken cancellationToken)
    {
        using var over = new CancellationTokenSource(limit);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(over.Token, cancellationToken);
        try
        {
            await step(either.Token);
        }
        catch (OperationCanceledException e) when (over.IsCancellationRequested)
        {
            throw new ApiUnreachableException($"{name} does not answer within {limit.TotalSeconds:0} s", e);
        }
        catch (SocketException e)
        {
            throw new ApiUnreachableException(
                e.SocketErrorCode is SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData ? $"the name of {name} cannot be resolved: {e.Message}" : $"{name} cannot be reached: {e.Message}", e);
        }
    }
}
