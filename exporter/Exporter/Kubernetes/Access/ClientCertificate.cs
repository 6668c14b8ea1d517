using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Exporter.Kubernetes.Access;

/// <summary>A client certificate for the API server, with its private key and the intermediate certificates.</summary>
internal sealed class ClientCertificate
{
    private const string Ed25519 = "1.3.101.112";

    private ClientCertificate(SslStreamCertificateContext context) => Context = context;

    internal SslStreamCertificateContext Context { get; }

    /// <param name="certificates">The client's own first, in PEM.</param>
    /// <param name="key">PKCS #1, PKCS #8 or SEC 1, in PEM.</param>
    /// <exception cref="FormatException">The certificate or key cannot be used. The message continues a sentence that begins with the name of the field.</exception>
    internal static ClientCertificate Parse(byte[] certificates, byte[] key)
    {
        var (certificateText, keyText) = (Encoding.UTF8.GetString(certificates), Encoding.UTF8.GetString(key));
        var chain = new X509Certificate2Collection();
        try
        {
            chain.ImportFromPem(certificateText);
        }
        catch (CryptographicException e)
        {
            throw new FormatException($"cannot be read: {PlainWords.Reason(e)}", e);
        }
        if (chain.Count == 0)
        {
            throw new FormatException("has no certificate in it: nothing begins with -----BEGIN CERTIFICATE-----");
        }
        if (!keyText.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
        {
            throw new FormatException("has no private key with it: nothing begins with -----BEGIN PRIVATE KEY-----");
        }
        if (keyText.Contains("ENCRYPTED", StringComparison.Ordinal))
        {
            throw new FormatException("has an encrypted private key, and the exporter cannot ask for its password; decrypt it with 'openssl pkey -in FILE'");
        }
        if (chain[0].PublicKey.Oid.Value == Ed25519)
        {
            throw new FormatException("has an Ed25519 key, which this program cannot use; make one for ECDSA or RSA");
        }
        try
        {
            using var bare = chain[0];
            var own = WithKey(bare, keyText);
            chain.RemoveAt(0);
            return new(SslStreamCertificateContext.Create(own, chain, offline: true));
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new FormatException($"and its private key do not go together: {PlainWords.Reason(e)}", e);
        }
    }

    private static X509Certificate2 WithKey(X509Certificate2 certificate, string key)
    {
        var bytes = FindKey(key);
        if (certificate.GetRSAPublicKey() is not null)
        {
            using var rsa = RSA.Create();
            Import(() => rsa.ImportRSAPrivateKey(bytes, out _), () => rsa.ImportPkcs8PrivateKey(bytes, out _));
            return certificate.CopyWithPrivateKey(rsa);
        }
        using var ecdsa = ECDsa.Create();
        Import(() => ecdsa.ImportECPrivateKey(bytes, out _), () => ecdsa.ImportPkcs8PrivateKey(bytes, out _));
        return certificate.CopyWithPrivateKey(ecdsa);
    }

    /// <summary>Reads a key by its content, whatever its PEM label says, as kubectl does.</summary>
    private static void Import(Action traditional, Action pkcs8)
    {
        try
        {
            traditional();
        }
        catch (CryptographicException)
        {
            pkcs8();
        }
    }

    /// <summary>Finds the first private key; certificates and curve parameters may come before it.</summary>
    private static byte[] FindKey(string text)
    {
        var rest = text.AsSpan();
        while (PemEncoding.TryFind(rest, out var fields))
        {
            if (rest[fields.Label].EndsWith("PRIVATE KEY"))
            {
                return Convert.FromBase64String(rest[fields.Base64Data].ToString());
            }
            rest = rest[fields.Location.End..];
        }
        throw new CryptographicException("the private key is not PEM");
    }
}
