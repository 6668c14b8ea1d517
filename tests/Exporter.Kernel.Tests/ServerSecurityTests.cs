using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>TLS and what has to be shown, as the real binary does it.</summary>
public sealed class ServerSecurityTests : IDisposable
{

    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-security-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task The_certificate_is_shown_with_its_issuer_and_plain_HTTP_is_refused()
    {
        WriteCertificate("first");
        using var exporter = await StartAsync();

        var (status, subject, issuer, _) = await AskAsync(exporter, "/metrics");
        Assert.Equal((HttpStatusCode.OK, "CN=first", "CN=issuer of first"), (status, subject, issuer));
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(exporter, "/readyz")).Status);
        using var http = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync($"http://127.0.0.1:{exporter.Port}/metrics"));
        Assert.Equal(0, exporter.Terminate());
    }

    /// <summary>As a mounted Secret changes: by a link above the files.</summary>
    [Fact]
    public async Task A_new_certificate_is_shown_without_a_restart()
    {
        WriteCertificate("first", "one");
        Link("one");
        using var exporter = await StartAsync("..data/");
        Assert.Equal("CN=first", (await AskAsync(exporter, "/metrics")).Subject);

        WriteCertificate("second", "two");
        Link("two");

        await UntilAsync(async () => (await AskAsync(exporter, "/metrics")).Subject == "CN=second");
        Assert.DoesNotContain(exporter.Log, line => line.Contains("fail:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_new_certificate_that_cannot_be_used_leaves_the_former_in_force_and_is_told_once()
    {
        WriteCertificate("first");
        using var exporter = await StartAsync();

        // The key comes a moment later than the certificate.
        using var second = WriteCertificate("second", key: false);

        await UntilAsync(async () => (await ReadErrorsAsync(exporter)) > 0);
        Assert.Equal("CN=first", (await AskAsync(exporter, "/metrics")).Subject);
        Assert.Equal(1, await ReadErrorsAsync(exporter));
        await exporter.WaitForLogAsync("Reloading the certificate failed");
        Assert.Single(exporter.Log, line => line.Contains("Reloading the certificate failed", StringComparison.Ordinal));

        await File.WriteAllTextAsync(Path.Combine(_directory, "tls.key"), second.ExportPkcs8PrivateKeyPem());
        await UntilAsync(async () => (await AskAsync(exporter, "/metrics")).Subject == "CN=second");
    }

    [Fact]
    public async Task Only_the_token_lets_see_metrics_and_pods_and_health_is_for_all()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "token"), "s3cret-token\n");
        using var exporter = await ExporterProcess.StartAsync($"--Server:BearerTokenFile={_directory}/token");

        foreach (var path in (string[])["/metrics", "/api/v1/pods", "/", "/METRICS", "/healthz/../metrics", "/metrics/"])
        {
            foreach (var (scheme, shown) in (ReadOnlySpan<(string?, string)>)[(null, ""), ("Bearer", "wrong"), ("Bearer", "s3cret-toke"), ("Bearer", "s3cret-tokens"), ("Basic", "s3cret-token")])
            {
                Assert.Equal((path, shown, HttpStatusCode.Unauthorized), (path, shown, Ask(exporter, path, scheme, shown).StatusCode));
            }
        }
        Assert.Equal("Bearer", Ask(exporter, "/metrics", null, "").Headers.WwwAuthenticate.ToString());
        Assert.Equal(HttpStatusCode.OK, Ask(exporter, "/metrics", "Bearer", "s3cret-token").StatusCode);
        Assert.Equal(HttpStatusCode.OK, Ask(exporter, "/metrics", "bearer", "s3cret-token").StatusCode);
        Assert.Equal(HttpStatusCode.OK, Ask(exporter, "/healthz", null, "").StatusCode);
        Assert.Equal(HttpStatusCode.OK, Ask(exporter, "/readyz", null, "").StatusCode);

        await File.WriteAllTextAsync(Path.Combine(_directory, "token"), "another");
        await UntilAsync(() => Task.FromResult(Ask(exporter, "/metrics", "Bearer", "another").StatusCode == HttpStatusCode.OK));
        Assert.Equal(HttpStatusCode.Unauthorized, Ask(exporter, "/metrics", "Bearer", "s3cret-token").StatusCode);
    }

    [Fact]
    public async Task Any_of_the_names_with_its_password_lets_see_metrics()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "users"), "prometheus:p:ss wörd\nadmin:other\n");
        using var exporter = await ExporterProcess.StartAsync($"--Server:BasicAuthFile={_directory}/users");

        foreach (var (user, status) in (ReadOnlySpan<(string, HttpStatusCode)>)
            [("prometheus:p:ss wörd", HttpStatusCode.OK), ("admin:other", HttpStatusCode.OK), ("admin:p:ss wörd", HttpStatusCode.Unauthorized), ("prometheus:", HttpStatusCode.Unauthorized)])
        {
            Assert.Equal((user, status), (user, Ask(exporter, "/metrics", "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(user))).StatusCode));
        }
        Assert.StartsWith("Basic realm=\"podnet-exporter\"", Ask(exporter, "/metrics", null, "").Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_be_used_at_the_start_is_an_error_that_names_its_option()
    {
        WriteCertificate("first");
        using var other = WriteCertificate("other", "elsewhere");
        var (good, otherKey) = (Path.Combine(_directory, "tls.crt"), Path.Combine(_directory, "elsewhere", "tls.key"));
        var empty = Path.Combine(_directory, "empty");
        File.WriteAllText(empty, "\n");

        foreach (var (options, error) in (ReadOnlySpan<(string[], string)>)
            [
                (["--Server:Urls=https://127.0.0.1:0", $"--Server:CertificateFile={good}", $"--Server:KeyFile={otherKey}"], "Server:CertificateFile: with Server:KeyFile it is not a certificate"),
                (["--Server:Urls=https://127.0.0.1:0", $"--Server:CertificateFile={good}", "--Server:KeyFile=/nowhere"], "Server:CertificateFile: /nowhere cannot be read"),
                (["--Server:Urls=http://127.0.0.1:0", $"--Server:BearerTokenFile={empty}"], "Server:BearerTokenFile: has to hold one token"),
                (["--Server:Urls=http://127.0.0.1:0", $"--Server:BasicAuthFile={empty}"], "Server:BasicAuthFile: has to hold lines of the form name:password"),
            ])
        {
            var (exitCode, output, message) = ExporterProcess.Run(options);
            Assert.Equal((2, ""), (exitCode, output));
            Assert.StartsWith(error, message, StringComparison.Ordinal);
        }
    }

    private static HttpResponseMessage Ask(ExporterProcess exporter, string path, string? scheme, string shown)
    {
        using var http = new HttpClient();
        // As it is written, without a client's tidying up.
        var uri = new Uri($"http://127.0.0.1:{exporter.Port}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        request.Headers.Authorization = scheme is null ? null : new AuthenticationHeaderValue(scheme, shown);
        return http.Send(request);
    }

    /// <summary>Over a connection of its own.</summary>
    private static async Task<(HttpStatusCode Status, string Subject, string? Issuer, string Text)> AskAsync(ExporterProcess exporter, string path)
    {
        var (subject, issuer) = ("", (string?)null);
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
        {
            (subject, issuer) = (certificate!.Subject, chain!.ChainPolicy.ExtraStore.Select(extra => extra.Subject).FirstOrDefault(name => name != certificate.Subject));
            return true;
        };
        using var http = new HttpClient(handler);
        using var response = await http.GetAsync($"https://127.0.0.1:{exporter.Port}{path}");
        return (response.StatusCode, subject, issuer, await response.Content.ReadAsStringAsync());
    }

    private static async Task<double> ReadErrorsAsync(ExporterProcess exporter)
    {
        return new MetricSamples((await AskAsync(exporter, "/metrics")).Text)["podnet_exporter_credential_reload_failures_total{secret=\"certificate\"}"] ?? -1;
    }

    private static async Task UntilAsync(Func<Task<bool>> wanted)
    {
        var deadline = DateTime.UtcNow + Silence.Limit;
        while (!await wanted())
        {
            Assert.True(DateTime.UtcNow < deadline, "it did not become so");
        }
    }

    private Task<ExporterProcess> StartAsync(string directory = "")
    {
        var port = ExporterProcess.FreePort();
        return ExporterProcess.StartCommandAsync(
            port, [ExporterProcess.Binary, $"--Server:Urls=https://127.0.0.1:{port}", $"--Server:CertificateFile={_directory}/{directory}tls.crt", $"--Server:KeyFile={_directory}/{directory}tls.key"]);
    }

    /// <summary>A certificate, and in the file behind it that of its issuer, whom an authority has certified that clients know.</summary>
    private ECDsa WriteCertificate(string name, string directory = "", bool key = true)
    {
        var path = Directory.CreateDirectory(Path.Combine(_directory, directory)).FullName;
        var (from, to) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var root = Authority("root", rootKey).CreateSelfSigned(from.AddDays(-1), to.AddDays(1));
        using var issuerKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var issued = Authority($"issuer of {name}", issuerKey).Create(root, from, to, Guid.NewGuid().ToByteArray());
        using var issuer = issued.CopyWithPrivateKey(issuerKey);
        var ownKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest($"CN={name}", ownKey, HashAlgorithmName.SHA256)
            .Create(issuer, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), Guid.NewGuid().ToByteArray());
        File.WriteAllText(Path.Combine(path, "tls.crt"), certificate.ExportCertificatePem() + "\n" + issuer.ExportCertificatePem() + "\n");
        if (key)
        {
            File.WriteAllText(Path.Combine(path, "tls.key"), ownKey.ExportPkcs8PrivateKeyPem());
        }
        return ownKey;

        static CertificateRequest Authority(string subject, ECDsa key)
        {
            var request = new CertificateRequest($"CN={subject}", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, true));
            return request;
        }
    }

    private void Link(string directory)
    {
        var (link, next) = (Path.Combine(_directory, "..data"), Path.Combine(_directory, "..next"));
        Directory.CreateSymbolicLink(next, directory);
        // rename(2): at no moment there is none.
        Shell.Run("mv", "-T", next, link);
    }
}
