using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Exporter.Engine.Tests.Support;

/// <summary>An authority and what it signs, in files of PEM.</summary>
internal sealed class BrokerCertificates : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly X509Certificate2 _authority;

    internal BrokerCertificates()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=podnet-test", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(2));
        Authority = Write("ca.pem", _authority.ExportCertificatePem());
        Broker = SignBroker(DateTimeOffset.UtcNow.AddDays(1));
    }

    /// <summary>The file with the authority.</summary>
    internal string Authority { get; }

    /// <summary>The file with the broker's key and certificate.</summary>
    internal string Broker { get; }

    /// <summary>Properties of a broker with a listener of TLS.</summary>
    internal Dictionary<string, string> Properties => new()
    {
        ["ssl.keystore.type"] = "PEM",
        ["ssl.keystore.location"] = Broker,
        ["ssl.truststore.type"] = "PEM",
        ["ssl.truststore.location"] = Authority,
    };

    /// <summary>Writes a file, or replaces it as a mounted secret is: its new content is there at once.</summary>
    internal string Write(string name, string text)
    {
        var path = Path.Combine(_directory.Path, name);
        File.Move(_directory.Write(name + ".new", text), path, overwrite: true);
        return path;
    }

    /// <summary>Signs another certificate of the broker.</summary>
    /// <returns>The file, always the same.</returns>
    internal string SignBroker(DateTimeOffset until)
    {
        var (certificate, key) = Sign("CN=broker", until);
        return Write("broker.pem", key + "\n" + certificate);
    }

    /// <summary>Signs a client's certificate.</summary>
    /// <returns>The files of the certificate and of its key, the same for each client.</returns>
    internal (string Certificate, string Key) SignClient(DateTimeOffset until)
    {
        var (certificate, key) = Sign("CN=podnet-exporter", until);
        return (Write("client.pem", certificate), Write("client.key", key));
    }

    public void Dispose()
    {
        _authority.Dispose();
        _directory.Dispose();
    }

    private (string Certificate, string Key) Sign(string name, DateTimeOffset until)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var signed = request.Create(_authority, DateTimeOffset.UtcNow.AddDays(-1), until, RandomNumberGenerator.GetBytes(8));
        return (signed.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }
}
