using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Chart.Tests.Support;

/// <summary>Authorities, servers' and clients' certificates of many kinds, as files in a directory and as what a server shows.</summary>
internal sealed class TestCertificates
{
    private static readonly DateTimeOffset From = DateTimeOffset.UtcNow.AddDays(-2);
    private static readonly DateTimeOffset Until = From.AddYears(1);

    private readonly string _directory;

    internal TestCertificates(string directory)
    {
        _directory = directory;
        var root = Authority("kubernetes", null);
        var renewed = Authority("kubernetes", null);
        var intermediate = Authority("intermediate", root);
        // The same name and key identifier as the intermediate, and another key.
        var forged = Authority("intermediate", root, intermediate);
        Write("root.crt", root.ExportCertificatePem());
        Write("renewed.crt", renewed.ExportCertificatePem());
        Write("intermediate.crt", intermediate.ExportCertificatePem());
        Write("bundle.crt", $"a line between\n{renewed.ExportCertificatePem()}\n# and another\n{root.ExportCertificatePem()}\n");
        Write("bundle-reversed.crt", $"{root.ExportCertificatePem()}\n{renewed.ExportCertificatePem()}\n");
        Write("half.crt", $"-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n{root.ExportCertificatePem()}\n");
        Write("none.crt", "no certificate\n");

        Add("root", Leaf(root));
        Add("renewed", Leaf(renewed));
        Add("bare", Leaf(intermediate));
        Add("chain", Leaf(intermediate), intermediate);
        Add("forged", Leaf(forged));
        Add("named", Leaf(root, names: ["api.cluster.test"]));
        Add("nameless", Leaf(root, subject: "127.0.0.1", names: []));
        Add("wildcard", Leaf(root, names: ["*.cluster.test"]));
        Add("expired", Leaf(root, until: DateTimeOffset.UtcNow.AddDays(-1)));
        Add("future", Leaf(root, from: DateTimeOffset.UtcNow.AddDays(1)));
        Add("client-only", Leaf(root, purpose: "1.3.6.1.5.5.7.3.2"));
        Add("rsa", Leaf(root, rsa: true));
        var self = Leaf(null);
        Add("self", self);
        Write("self.crt", self.ExportCertificatePem());

        WriteClient("rsa", Leaf(root, subject: "rsa", rsa: true));
        WriteClient("ec", Leaf(root, subject: "ec"));
        var chained = Leaf(intermediate, subject: "chained");
        Write("chained.crt", chained.ExportCertificatePem() + "\n" + intermediate.ExportCertificatePem() + "\n");
        Write("chained.key", chained.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        Shell.Run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=ed25519", "-keyout", PathOf("ed25519.key"), "-out", PathOf("ed25519.crt"));
    }

    /// <summary>What servers show, by their kind: the certificate, and what they send with it.</summary>
    internal Dictionary<string, (X509Certificate2 Own, X509Certificate2Collection Sent)> Servers { get; } = [];

    internal string PathOf(string name) => Path.Combine(_directory, name);

    private static X509Certificate2 Authority(string name, X509Certificate2? issuer, X509Certificate2? twin = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(twin?.PublicKey ?? request.PublicKey, false));
        return issuer is null ? request.CreateSelfSigned(From, Until) : Sign(request, issuer).CopyWithPrivateKey(key);
    }

    private static X509Certificate2 Leaf(
        X509Certificate2? issuer, string subject = "kube-apiserver", string[]? names = null, DateTimeOffset? from = null, DateTimeOffset? until = null, string? purpose = null, bool rsa = false)
    {
        using var ecdsaKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var rsaKey = RSA.Create(2048);
        var request = rsa
            ? new CertificateRequest($"CN={subject}", rsaKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest($"CN={subject}", ecdsaKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        if (purpose is not null)
        {
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
        }
        if (names is not [])
        {
            var builder = new SubjectAlternativeNameBuilder();
            foreach (var name in names ?? ["localhost", "kubernetes.default.svc"])
            {
                builder.AddDnsName(name);
            }
            if (names is null)
            {
                builder.AddIpAddress(IPAddress.Loopback);
                builder.AddIpAddress(IPAddress.IPv6Loopback);
            }
            request.CertificateExtensions.Add(builder.Build());
        }
        if (issuer is null)
        {
            return request.CreateSelfSigned(From, Until);
        }
        var signed = Sign(request, issuer, from, until);
        return rsa ? signed.CopyWithPrivateKey(rsaKey) : signed.CopyWithPrivateKey(ecdsaKey);
    }

    /// <summary>Without an authority key identifier, so that only the signature says which authority of a name it was.</summary>
    private static X509Certificate2 Sign(CertificateRequest request, X509Certificate2 issuer, DateTimeOffset? from = null, DateTimeOffset? until = null) =>
        request.Create(issuer.SubjectName, X509SignatureGenerator.CreateForECDsa(issuer.GetECDsaPrivateKey()!), from ?? From, until ?? Until, RandomNumberGenerator.GetBytes(8));

    private void Add(string kind, X509Certificate2 own, params X509Certificate2[] sent) => Servers[kind] = (own, [.. sent]);

    private void WriteClient(string name, X509Certificate2 client)
    {
        Write($"{name}.crt", client.ExportCertificatePem());
        AsymmetricAlgorithm key = client.GetRSAPrivateKey() is { } rsa ? rsa : client.GetECDsaPrivateKey()!;
        Write($"{name}.key", key.ExportPkcs8PrivateKeyPem());
        Write($"{name}-traditional.key", key is RSA own ? own.ExportRSAPrivateKeyPem() : "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + ((ECDsa)key).ExportECPrivateKeyPem());
        Write($"{name}-encrypted.key", key.ExportEncryptedPkcs8PrivateKeyPem("secret", new(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        Write($"{name}-both.pem", client.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem());
        Write($"{name}-mislabelled.key", key is RSA other ? other.ExportRSAPrivateKeyPem().Replace("RSA PRIVATE", "PRIVATE", StringComparison.Ordinal) : key.ExportPkcs8PrivateKeyPem());
    }

    private void Write(string name, string text) => File.WriteAllText(PathOf(name), text);
}
