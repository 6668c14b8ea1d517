using Exporter.Options;

namespace Exporter.Server;

/// <summary>The options of the server: addresses, certificate, authentication and limits.</summary>
/// <param name="CertificateFile">Empty: no TLS. An empty path of the other files: no such file.</param>
/// <param name="HeaderTimeout">From the acceptance of a connection.</param>
/// <param name="MaxHeaderSize">In bytes.</param>
internal sealed record ServerOptions(
    IReadOnlyList<string> Urls,
    string CertificateFile,
    string KeyFile,
    string BearerTokenFile,
    string BasicAuthFile,
    int MaxConnections,
    TimeSpan HeaderTimeout,
    int MaxHeaderSize,
    int MaxScrapes)
{
    private const string UrlsKey = "Server:Urls";

    internal bool HasTls => CertificateFile.Length > 0;

    /// <summary>Reads the section. With a certificate the default of Server:Urls is https.</summary>
    internal static ServerOptions Read(OptionReader reader)
    {
        var options = ReadSection(reader);
        if (options.HasTls && !reader.IsSet(UrlsKey))
        {
            options = options with { Urls = ["https://*:9969"] };
        }
        reader.Require(options.KeyFile.Length > 0 == options.HasTls, "Server:KeyFile", "does not go with Server:CertificateFile; set both, or none");
        reader.Require(
            options.HasTls || !options.Urls.Any(IsHttps), UrlsKey, "has https, and there is no certificate; set Server:CertificateFile and Server:KeyFile");
        reader.Require(!options.HasTls || options.Urls.All(IsHttps), UrlsKey, "has http, and Server:CertificateFile is set; write https");
        return options;

        static bool IsHttps(string url) => url.StartsWith("https:", StringComparison.OrdinalIgnoreCase);
    }

    private static ServerOptions ReadSection(OptionReader reader) => new(
        reader.Urls(UrlsKey, "http://*:9969", "Addresses to listen on, separated by semicolons: https:// with a certificate, also by default, and http:// without."),
        reader.Text("Server:CertificateFile", "a path", "The server's certificate in PEM, followed by the certificates of its issuers; empty: no TLS. Read again when it changes, as are the three files below."),
        reader.Text("Server:KeyFile", "a path", "The certificate's private key in PEM."),
        reader.Text("Server:BearerTokenFile", "a path", "A file with the bearer token that /metrics, /api/v1/* and / require; empty: they require none."),
        reader.Text("Server:BasicAuthFile", "a path", "A file with lines name:password, one of which /metrics, /api/v1/* and / require; empty: they require none."),
        reader.Number(
            "Server:MaxConnections",
            256,
            16,
            65536,
            "Most open connections; beyond that the oldest without a complete request is closed, so that a probe gets in."),
        reader.Duration(
            "Server:HeaderTimeout",
            TimeSpan.FromSeconds(10),
            TimeSpan.FromSeconds(1),
            TimeSpan.FromMinutes(5),
            "Longest time from a connection to the end of its request's headers, including the TLS handshake."),
        reader.Number("Server:MaxHeaderSize", 32768, 1024, 1048576, "Most bytes of a request's headers; the request line may have as many, up to 8192."),
        reader.Number(
            "Server:MaxScrapes", 4, 1, 256, "Most scrapes at once, and most requests for the other pages at once; beyond that the answer is 503 with Retry-After."));
}
