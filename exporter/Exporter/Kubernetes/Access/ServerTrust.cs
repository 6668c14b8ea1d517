using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// Decides whether a server's certificate is trusted, as kubectl does: every configured certificate is an anchor, be it a root, an intermediate or the
/// server's own, and the name has to be among the certificate's alternative names.
/// </summary>
/// <param name="authorities">In PEM; null: the machine's.</param>
/// <param name="origin">The origin of the authorities, for messages.</param>
internal sealed class ServerTrust(byte[]? authorities, string origin, AccessEnvironment environment)
{
    /// <summary>The purpose of a server's certificate (RFC 5280, section 4.2.1.12).</summary>
    private static readonly Oid ServerAuthentication = new("1.3.6.1.5.5.7.3.1");

    /// <summary>Statuses of chains whose anchor is not a root. This class finds the anchor itself.</summary>
    private const X509ChainStatusFlags OfAnchors = X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot;

    /// <summary>The certificates in a PEM text. Other content is skipped, as kubectl does.</summary>
    internal static X509Certificate2Collection Parse(byte[] pem)
    {
        var certificates = new X509Certificate2Collection();
        var text = Encoding.UTF8.GetString(pem).AsSpan();
        while (PemEncoding.TryFind(text, out var fields))
        {
            if (text[fields.Label] is "CERTIFICATE")
            {
                try
                {
                    certificates.Add(X509CertificateLoader.LoadCertificate(Convert.FromBase64String(text[fields.Base64Data].ToString())));
                }
                catch (CryptographicException)
                {
                    // Other certificates of the same bundle may be valid.
                }
            }
            text = text[fields.Location.End..];
        }
        return certificates;
    }

    /// <exception cref="ApiUnreachableException">The certificate is not trusted. The message has the reason.</exception>
    /// <param name="sent">Other certificates that the server sent.</param>
    /// <param name="host">The name or address that the certificate has to be for.</param>
    /// <param name="name">The server's name in messages.</param>
    internal void Verify(X509Certificate2? certificate, X509Certificate2Collection sent, string host, string name)
    {
        if (certificate is null)
        {
            throw new ApiUnreachableException($"{name} shows no certificate");
        }
        var isAddress = System.Net.IPAddress.TryParse(host, out var address);
        if (!certificate.MatchesHostname(isAddress ? $"{address}" : host, allowWildcards: true, allowCommonName: false))
        {
            throw new ApiUnreachableException($"the certificate of {name} is for {DescribeNames(certificate)}, not for {host}; if that is right, set tls-server-name in the kubeconfig");
        }
        var machine = authorities is null ? new MachineAuthorities(environment) : null;
        var anchors = authorities is null ? machine!.Read() : Parse(authorities);
        var from = machine is null ? origin : machine.Origin + (origin.Length > 0 ? $" ({origin})" : "");
        // Renewed authorities have the same name and other keys. If the certificate does not say which key signed it, each is tried.
        var rounds = anchors.GroupBy(anchor => anchor.SubjectName.Name).Select(same => same.ToArray()).ToArray();
        string? reason = null;
        for (var round = 0; round < rounds.Select(same => same.Length).DefaultIfEmpty(1).Max(); round++)
        {
            X509Certificate2[] tried = [.. rounds.Select(same => same[round % same.Length])];
            reason = FindProblem(certificate, sent, tried);
            if (reason is null)
            {
                return;
            }
        }
        throw new ApiUnreachableException($"the certificate of {name} {reason}; trusted are the {anchors.Count} authorities of {from}");
    }

    /// <returns>Why the certificate is not trusted; null: it is.</returns>
    private static string? FindProblem(X509Certificate2 certificate, X509Certificate2Collection sent, X509Certificate2[] anchors)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(ServerAuthentication);
        chain.ChainPolicy.CustomTrustStore.AddRange(anchors);
        chain.ChainPolicy.ExtraStore.AddRange(sent);
        chain.Build(certificate);
        foreach (var element in chain.ChainElements)
        {
            foreach (var status in element.ChainElementStatus)
            {
                if ((status.Status & ~OfAnchors) != 0)
                {
                    return Describe(element.Certificate, status);
                }
            }
            if (anchors.Any(anchor => anchor.RawDataMemory.Span.SequenceEqual(element.Certificate.RawDataMemory.Span)))
            {
                return null;
            }
        }
        return $"is signed by an authority that is not trusted ('{chain.ChainElements[^1].Certificate.Issuer}')";
    }

    private static string Describe(X509Certificate2 certificate, X509ChainStatus status) => status.Status switch
    {
        X509ChainStatusFlags.NotTimeValid when certificate.NotAfter < DateTime.Now => $"has expired: '{certificate.Subject}' was valid until {certificate.NotAfter.ToUniversalTime():u}",
        X509ChainStatusFlags.NotTimeValid => $"is not valid yet: '{certificate.Subject}' is from {certificate.NotBefore.ToUniversalTime():u} on; is the clock right?",
        X509ChainStatusFlags.NotSignatureValid => $"is not signed by the authority of that name that is trusted ('{certificate.Issuer}')",
        X509ChainStatusFlags.NotValidForUsage => $"is not for servers: '{certificate.Subject}' has another purpose",
        _ => $"cannot be verified: '{certificate.Subject}': {status.StatusInformation.Trim()}",
    };

    private static string DescribeNames(X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(extension => extension.EnumerateDnsNames().Concat(extension.EnumerateIPAddresses().Select(address => $"{address}")));
        return string.Join(", ", names) is { Length: > 0 } list ? list : "no host: it has no alternative names";
    }
}
