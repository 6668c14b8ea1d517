using System.Security.Cryptography.X509Certificates;
using Exporter.Tests.Kubernetes;

namespace Exporter.Tests.Support;

/// <summary>A server's certificate and key, in files, and the options that name them.</summary>
internal sealed class CertificateFiles : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("server-");

    internal CertificateFiles()
    {
        using var certificates = new Certificates();
        Settings = Write(certificates.Server);
    }

    internal CertificateFiles(X509Certificate2 pair) => Settings = Write(pair);

    /// <summary>The certificate first.</summary>
    internal (string Key, string? Value)[] Settings { get; }

    public void Dispose() => _directory.Delete(recursive: true);

    private (string Key, string? Value)[] Write(X509Certificate2 pair)
    {
        var (certificate, key) = (Path.Combine(_directory.FullName, "tls.crt"), Path.Combine(_directory.FullName, "tls.key"));
        using var secret = pair.GetECDsaPrivateKey()!;
        File.WriteAllText(certificate, pair.ExportCertificatePem());
        File.WriteAllText(key, secret.ExportPkcs8PrivateKeyPem());
        return [("Server:CertificateFile", certificate), ("Server:KeyFile", key)];
    }
}
