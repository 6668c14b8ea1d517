using System.Security.Cryptography.X509Certificates;

namespace Exporter.Kubernetes.Access;

/// <summary>The certificate authorities that the machine trusts: SSL_CERT_FILE and SSL_CERT_DIR as Go and OpenSSL read them, or the usual files and directories.</summary>
internal sealed class MachineAuthorities(AccessEnvironment environment)
{
    /// <summary>Debian and Alpine, Fedora 34 and later, RHEL, openSUSE, OpenELEC, OpenBSD.</summary>
    private static readonly string[] Files =
    [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem", "/etc/ssl/cert.pem",
    ];

    private static readonly string[] Directories = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

    /// <summary>The files and directories that are searched, for messages.</summary>
    internal string Origin => environment["SSL_CERT_FILE"] is { Length: > 0 } file
        ? $"SSL_CERT_FILE ('{file}')"
        : environment["SSL_CERT_DIR"] is { Length: > 0 } directory
            ? $"SSL_CERT_DIR ('{directory}')"
            : "this machine; the image has none: mount a bundle and set SSL_CERT_FILE, or give the kubeconfig a certificate-authority";

    /// <summary>Reads all authorities. Files that cannot be read are skipped: most of the places do not exist on a machine.</summary>
    internal X509Certificate2Collection Read()
    {
        var found = new Dictionary<string, X509Certificate2>(StringComparer.Ordinal);
        string[] files = environment["SSL_CERT_FILE"] is { Length: > 0 } file ? [file] : Files;
        if (files.FirstOrDefault(File.Exists) is { } bundle)
        {
            Add(bundle);
        }
        var named = environment["SSL_CERT_DIR"];
        string[] directories = named.Length > 0 ? named.Split(':', StringSplitOptions.RemoveEmptyEntries) : Directories;
        foreach (var path in directories.Where(Directory.Exists).SelectMany(Directory.EnumerateFiles))
        {
            Add(path);
        }
        return [.. found.Values];

        void Add(string path)
        {
            try
            {
                foreach (var certificate in ServerTrust.Parse(File.ReadAllBytes(path)))
                {
                    found.TryAdd(certificate.Thumbprint, certificate);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
            }
        }
    }
}
