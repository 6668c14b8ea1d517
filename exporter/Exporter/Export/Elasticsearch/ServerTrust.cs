using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Health;
using Exporter.Options;

namespace Exporter.Export.Elasticsearch;

/// <summary>Decides whether a server's certificate is trusted. The file of authorities is read for each connection, so it may change.</summary>
/// <param name="caFile">In PEM; empty: the machine's authorities.</param>
internal sealed class ServerTrust(string caFile)
{
    /// <summary>The purpose of a server's certificate (RFC 5280, section 4.2.1.12).</summary>
    private static readonly Oid ServerAuthentication = new("1.3.6.1.5.5.7.3.1");

    /// <exception cref="SinkException">It is not trusted. The message has the reason.</exception>
    internal bool Verify(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors problems)
    {
        if (certificate is null)
        {
            throw new SinkException($"the server shows no certificate; set {ElasticsearchOptions.UrlsKey} to its port for https");
        }
        if (problems.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            throw new SinkException($"its certificate is for {NamesOf(certificate)}, not for the name in {ElasticsearchOptions.UrlsKey}; write one of these names there, or renew the certificate");
        }
        if (caFile.Length == 0)
        {
            return problems == SslPolicyErrors.None
                ? true
                : throw new SinkException($"its certificate is not trusted by the machine's authorities ({Reason(chain)}); set {ElasticsearchOptions.CaFileKey} to a file with its authority");
        }
        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.DisableCertificateDownloads = true;
        own.ChainPolicy.ApplicationPolicy.Add(ServerAuthentication);
        own.ChainPolicy.CustomTrustStore.AddRange(ReadAuthorities());
        own.ChainPolicy.ExtraStore.AddRange(chain?.ChainPolicy.ExtraStore ?? []);
        return own.Build(certificate)
            ? true
            : throw new SinkException($"its certificate '{certificate.Subject}' is not trusted by the authorities in {caFile} ({Reason(own)}); correct the file of {ElasticsearchOptions.CaFileKey}, or renew the certificate");
    }

    /// <summary>Checks that the file can be used.</summary>
    internal static void Check(ElasticsearchOptions options, OptionReader reader)
    {
        if (OptionReader.IsFilePath(options.CaFile) && ReadAuthorities(options.CaFile).Problem is { } problem)
        {
            reader.Refuse(ElasticsearchOptions.CaFileKey, $"'{options.CaFile}' {problem}", isOutside: true);
        }
    }

    private X509Certificate2Collection ReadAuthorities() =>
        ReadAuthorities(caFile) is var (authorities, problem) && problem is null ? authorities : throw ServerCredentials.Unusable(ElasticsearchOptions.CaFileKey, caFile, problem);

    /// <returns>The problem continues a sentence that begins with the path; null: there is none.</returns>
    private static (X509Certificate2Collection Authorities, string? Problem) ReadAuthorities(string path)
    {
        var authorities = new X509Certificate2Collection();
        if (new FileWatch().TryRead(path, out var reason) is not { } content)
        {
            return (authorities, $"cannot be used: {reason}");
        }
        try
        {
            authorities.ImportFromPem(Encoding.UTF8.GetString(content));
        }
        catch (CryptographicException e)
        {
            return (authorities, $"cannot be used: {PlainWords.Reason(e)}");
        }
        return (authorities, authorities.Count > 0 ? null : "has no certificate in PEM; write the authority's into it");
    }

    private static string Reason(X509Chain? chain) => chain?.ChainStatus is { Length: > 0 } statuses ? string.Join(", ", statuses.Select(status => status.Status).Distinct()) : "no reason is known";

    private static string NamesOf(X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(extension => extension.EnumerateDnsNames().Concat(extension.EnumerateIPAddresses().Select(address => $"{address}")));
        return string.Join(", ", names) is { Length: > 0 } list ? list : "no host, since it has no alternative names";
    }
}
