using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Exporter.Server;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Exporter.Security;

/// <summary>The certificate that the server shows, by files that may change while it runs.</summary>
internal sealed class ServerCertificate(SecretFile<SslStreamCertificateContext> file)
{
    /// <exception cref="FormatException">The files cannot be read or used.</exception>
    internal static ServerCertificate Open(SecretFiles files, ServerOptions options) =>
        new(files.Open("certificate", "Server:CertificateFile", [options.CertificateFile, options.KeyFile], texts => Parse(texts[0], texts[1])));

    /// <summary>For Kestrel; each connection gets the certificate of its moment.</summary>
    internal TlsHandshakeCallbackOptions CreateOptions(TimeSpan handshakeTimeout) => new()
    {
        HandshakeTimeout = handshakeTimeout,
        OnConnection = _ => new(new SslServerAuthenticationOptions { ServerCertificateContext = file.Current }),
    };

    private static SslStreamCertificateContext Parse(string certificates, string key)
    {
        try
        {
            var chain = new X509Certificate2Collection();
            chain.ImportFromPem(certificates);
            // Those that follow the first are its issuers', and are sent along.
            return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(certificates, key), [.. chain.Skip(1)], offline: true);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new FormatException($"with Server:KeyFile it is no certificate with its key in PEM: {PlainWords.Reason(e)}", e);
        }
    }
}
