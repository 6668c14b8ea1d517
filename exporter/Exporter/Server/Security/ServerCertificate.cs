using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Exporter.Options;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Exporter.Server.Security;

/// <summary>The server's certificate, from files that may change while it runs.</summary>
internal sealed class ServerCertificate(SecretFile<SslStreamCertificateContext> file)
{
    private const string Key = "Server:CertificateFile";

    /// <exception cref="FormatException">The files cannot be read or used.</exception>
    internal static ServerCertificate Open(SecretFiles files, ServerOptions options) =>
        new(files.Open("certificate", Key, [options.CertificateFile, options.KeyFile], texts => Parse(texts[0], texts[1])));

    /// <summary>Checks that the files, where both are set, can be read and used.</summary>
    internal static void Check(ServerOptions options, OptionReader reader)
    {
        if (options.HasTls && options.KeyFile.Length > 0)
        {
            SecretFiles.Check(reader, Key, [options.CertificateFile, options.KeyFile], texts => Parse(texts[0], texts[1]));
        }
    }

    /// <summary>The TLS options for Kestrel; each new connection gets the current certificate.</summary>
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
            // The certificates after the first are its issuers', and are sent with it.
            return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(certificates, key), [.. chain.Skip(1)], offline: true);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new FormatException($"with Server:KeyFile it is not a certificate with its key in PEM: {PlainWords.Reason(e)}", e);
        }
    }
}
