using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Commands;
using Exporter.Kubernetes;
using Exporter.Kubernetes.Access;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class ApiConnectionTests : IAsyncLifetime
{

    private ApiServer _server = null!;

    public static TheoryData<string, string> Broken => new()
    {
        { "", "" },
        { "no: [yaml", "" },
        { "- a list", "" },
        { "just text", "" },
        { "\0\u0001", "" },
        { "apiVersion: v1\nkind: Config\n", "" },
        { Text(context: "other"), "other" },
        { Text(context: "nobody@test"), "" },
        { Text(context: "exporter@nowhere"), "" },
        { Text(server: "server: not an address"), "not an address" },
        { Text(server: "{}"), "" },
        { Text(server: "server: https://127.0.0.1:1\n    certificate-authority-data: '%%%'"), "" },
        { Text(server: "server: https://127.0.0.1:1\n    certificate-authority-data: bm9uZQ=="), "" },
        { Text(server: "server: https://127.0.0.1:1\n    certificate-authority: /nonexistent/ca.crt"), "" },
        { Text(user: "client-certificate: /nonexistent/client.crt\n    client-key: /nonexistent/client.key"), "/nonexistent/client.crt" },
        { Text(user: "client-certificate-data: '%%%'\n    client-key-data: '%%%'"), "" },
        { Text(user: "client-certificate-data: bm9uZQ==\n    client-key-data: bm9uZQ=="), "" },
        { Text(user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}"), "users.exporter.exec.command is missing" },
        { Text(user: "auth-provider: {name: gcp}"), "users.exporter.auth-provider is not supported; use exec with the provider's plugin" },
        { Text(user: "token: 12345"), "users.exporter.token is a number, not a text; put it in quotes" },
        { Text(server: "server: https://127.0.0.1:1\n    proxy-url: ftp://127.0.0.1:2"), "clusters.test.proxy-url is 'ftp://127.0.0.1:2', which is not a proxy" },
    };

    public async ValueTask InitializeAsync() => _server = await ApiServer.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Assert.Empty(_server.Failures);
    }

    [Fact]
    public async Task A_kubeconfig_with_everything_in_it_lets_in()
    {
        using var connection = Open(_server.Files.Kubeconfig);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
        Assert.Equal(_server.Address, connection.Server);
        Assert.Equal("token-1", _server.Requests[0].Token);
    }

    [Fact]
    public async Task Paths_in_a_kubeconfig_are_relative_to_it()
    {
        using var connection = Open(Write(Text(Server() + "\n    certificate-authority: serviceaccount/ca.crt", "token: token-1")));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
        Assert.Equal("token-1", _server.Requests[0].Token);
    }

    [Fact]
    public async Task A_rotated_token_is_used_for_the_next_request()
    {
        using var connection = Open(_server.Files.Kubeconfig);
        await AskAsync(connection);
        _server.RotateToken("token-2");

        Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
        Assert.Equal(["token-1", "token-2"], _server.Requests.Select(request => request.Token));
    }

    [Fact]
    public async Task Requests_carry_the_program_s_name_version_and_platform()
    {
        _server.Handle(_ => true, context =>
        {
            Assert.Matches(@"^podnet-exporter/\d+\.\d+\.\d+ \(linux/(amd64|arm64)\)$", $"{context.Request.Headers.UserAgent}");
            return context.AnswerAsync(Answers.EmptyList("7"));
        });
        using var connection = Open(_server.Files.Kubeconfig);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
    }

    [Fact]
    public async Task What_is_half_written_when_it_is_read_anew_leaves_the_former_in_use()
    {
        using var connection = Open(_server.Files.Kubeconfig);
        var whole = await File.ReadAllTextAsync(_server.Files.Kubeconfig);
        await File.WriteAllTextAsync(_server.Files.Kubeconfig, whole[..40]);
        _server.AcceptedToken = "token-2";
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(connection));

        _server.AcceptedToken = "token-1";
        Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
    }

    [Fact]
    public async Task The_watch_goes_on_with_the_rotated_token()
    {
        await using var node = new WatchingNode(_server);
        await node.StartFollowingAsync();
        _server.RotateToken("token-2");
        // An open watch is not asked again.
        _server.Cluster.Add(new("shop", "web"));
        await node.UntilAsync(() => node.Store.Count == 1);
        _server.Cluster.EndWatches();
        var watch = await _server.WaitForRequestAsync(request => request.Token == "token-2");
        Assert.False(node.Clock.TryTakePause(out _));
        Assert.True(watch.IsWatch);
        Assert.Equal("1001", watch["resourceVersion"]);
        Assert.Single(_server.Requests, request => request.IsList);
        Assert.Equal(0, await node.CountErrorsAsync("unauthorized"));
    }

    [Fact]
    public async Task Another_authority_s_server_is_refused_and_the_reason_told()
    {
        await using var other = await ApiServer.CreateAsync();
        var kubeconfig = Write((await File.ReadAllTextAsync(_server.Files.Kubeconfig)).Replace(_server.Address.GetLeftPart(UriPartial.Authority), other.Address.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal));
        using var connection = Open(kubeconfig);
        await using var node = new WatchingNode(_server, connection);
        await node.StartAsync();
        await node.Clock.NextPauseAsync();

        Assert.Contains("is not signed by the authority of that name that is trusted ('CN=kubernetes')", Assert.Single(node.Readiness.Reasons), StringComparison.Ordinal);
        Assert.Empty(other.Requests);
        Assert.Equal(1, await node.CountErrorsAsync("unreachable"));
    }

    [Fact]
    public async Task Without_an_authority_the_machine_s_are_trusted_and_none_other()
    {
        using var connection = Open(Write(Text(Server(), "token: token-1")));
        var refused = await Assert.ThrowsAsync<ApiUnreachableException>(() => AskAsync(connection));
        Assert.Contains("SSL_CERT_FILE", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Insecure_skip_tls_verify_trusts_anybody()
    {
        using var connection = Open(Write(Text(Server() + "\n    insecure-skip-tls-verify: true", "token: token-1")));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
    }

    [Theory]
    [InlineData("kubernetes.default.svc", true)]
    [InlineData("elsewhere.example", false)]
    public async Task The_certificate_has_to_be_for_the_name_that_the_kubeconfig_gives(string name, bool isTrusted)
    {
        using var connection = Open(Write(Text(Server() + $"\n    certificate-authority: {_server.Files.Authority}\n    tls-server-name: {name}", "token: token-1")));
        if (isTrusted)
        {
            Assert.Equal(HttpStatusCode.OK, await AskAsync(connection));
        }
        else
        {
            await Assert.ThrowsAsync<ApiUnreachableException>(() => AskAsync(connection));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_certificate_is_shown(bool asFiles)
    {
        using var certificates = new Certificates();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var client = new CertificateRequest("CN=exporter", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
        await File.WriteAllTextAsync(Path.Combine(_server.Files.Root, "client.crt"), client.ExportCertificatePem());
        await File.WriteAllTextAsync(Path.Combine(_server.Files.Root, "client.key"), key.ExportPkcs8PrivateKeyPem());
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var connection = Open(Write(Text(
            $"server: https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}\n    certificate-authority-data: {Base64(certificates.Authority.ExportCertificatePem())}",
            asFiles
                ? "client-certificate: client.crt\n    client-key: client.key"
                : $"client-certificate-data: {Base64(client.ExportCertificatePem())}\n    client-key-data: {Base64(key.ExportPkcs8PrivateKeyPem())}")));

        var asking = AskAsync(connection);
        using var accepted = await listener.AcceptTcpClientAsync().WaitAsync(Silence.Limit);
        await using var tls = new SslStream(accepted.GetStream());
        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificate = certificates.Server,
            ClientCertificateRequired = true,
            RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null,
        }).WaitAsync(Silence.Limit);
        await tls.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());

        Assert.Equal(HttpStatusCode.OK, await asking.WaitAsync(Silence.Limit));
        Assert.Equal(client.GetCertHashString(), tls.RemoteCertificate?.GetCertHashString());
    }

    [Fact]
    public void A_key_of_another_certificate_is_a_clear_error()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var client = new CertificateRequest("CN=exporter", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
        var kubeconfig = Write(Text(Server(), $"client-certificate-data: {Base64(client.ExportCertificatePem())}\n    client-key-data: {Base64(other.ExportPkcs8PrivateKeyPem())}"));
        Assert.Equal(
            $"Kubernetes:Kubeconfig: '{kubeconfig}' cannot be used: users.exporter.client-certificate-data and its private key do not go together: The provided key does not match the public key for this certificate",
            Assert.Throws<AccessException>(() => Open(kubeconfig)).Message);
    }

    [Fact]
    public async Task The_time_that_a_plugin_takes_is_not_the_API_server_s_silence()
    {
        _server.Handle(_ => true, context => context.AnswerAsync(Answers.EmptyList("7")));
        Assert.Equal(ExitCode.Success, (await CheckAsync("sleep 6; ")).ExitCode);
        Assert.Equal("from-plugin", _server.Requests[0].Token);
    }

    [Theory]
    [InlineData("<html>log in</html>", "its answer is not a list of pods in JSON (line 1, column 1)")]
    [InlineData("""{"kind": "PodList", "metadata": {}, "items": 7}""", "its answer is not a list of pods in JSON (line 1, column 47 at items)")]
    [InlineData("""{"kind": "Status"}""", "its answer is not a list of pods")]
    public async Task An_answer_that_is_something_else_is_told_in_plain_words(string answer, string expected)
    {
        _server.Handle(_ => true, context => context.AnswerAsync(answer));
        var (told, code) = await CheckAsync("");
        Assert.Equal((ExitCode.Failure, expected), (code, told[^expected.Length..]));
        Assert.DoesNotContain("BytePosition", told, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public void A_kubeconfig_that_cannot_be_used_is_an_error_that_names_it(string text, string named)
    {
        var kubeconfig = Write(text);
        var error = Assert.Throws<AccessException>(() => Open(kubeconfig));
        Assert.StartsWith($"Kubernetes:Kubeconfig: '{kubeconfig}' cannot be used: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
        Assert.True(error.Message.Length > $"Kubernetes:Kubeconfig: '{kubeconfig}' cannot be used: ".Length);
    }

    [Fact]
    public void A_kubeconfig_that_is_not_there_is_an_error_that_names_it()
    {
        Assert.Contains("/nonexistent/kubeconfig", Assert.Throws<AccessException>(() => Open("/nonexistent/kubeconfig")).Message, StringComparison.Ordinal);
        Assert.Contains(_server.Files.Root, Assert.Throws<AccessException>(() => Open(_server.Files.Root)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_context_is_an_error_that_names_it()
    {
        var error = Assert.Throws<AccessException>(() => Open(_server.Files.Kubeconfig, "production"));
        Assert.Contains(_server.Files.Kubeconfig, error.Message, StringComparison.Ordinal);
        Assert.Contains("production", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_context_that_is_asked_for_is_used()
    {
        using var connection = Open(Write(Text(context: "nonexistent")), "exporter@test");
        Assert.Equal(new("https://127.0.0.1:1"), connection.Server);
    }

    [Fact]
    public void Outside_of_a_cluster_and_without_a_kubeconfig_the_option_is_named()
    {
        Assert.False(ApiConnection.IsConfigured(new("worker-1", "", "")));
        Assert.True(ApiConnection.IsConfigured(new("worker-1", "/nonexistent", "")));
        Assert.EndsWith("Set Kubernetes:Kubeconfig.", Assert.Throws<AccessException>(() => Open("")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("/", "")]
    [InlineData("/k8s/clusters/c-1", "/k8s/clusters/c-1")]
    [InlineData("/k8s/clusters/c-1/", "/k8s/clusters/c-1")]
    public async Task The_API_server_can_be_below_a_path(string path, string expected)
    {
        _server.Handle(_ => true, context => context.AnswerAsync(Answers.EmptyList("7")));
        using var connection = Open(Write((await File.ReadAllTextAsync(_server.Files.Kubeconfig)).Replace($":{_server.Port}", $":{_server.Port}{path}", StringComparison.Ordinal)));
        await new ResourceApi<PodDocument>(connection.SendAsync, connection.Server, PodDocument.OfNode("worker-1")).ListAsync(null, cachedSince: null, static () => { }, CancellationToken.None);
        Assert.Equal(expected + "/api/v1/pods", _server.Requests[0].Path);
    }

    private Task<(string Answer, int ExitCode)> CheckAsync(string before)
    {
        const string Printed = """{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-plugin"}}""";
        var plugin = Path.Combine(_server.Files.Root, "plugin");
        File.WriteAllText(plugin, $"{before}echo '{Printed}'\n");
        var kubeconfig = Write(Text(
            $"{Server()}\n    certificate-authority: serviceaccount/ca.crt", $"exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [{plugin}]}}"));
        return CheckCommand.AskForPodsAsync(TestOptions.Read(("Identity:Source", "kubernetes"), ("Kubernetes:NodeName", "worker-1"), ("Kubernetes:Kubeconfig", kubeconfig)));
    }

    private static ApiConnection Open(string kubeconfig, string context = "") => new(new KubernetesOptions("worker-1", kubeconfig, context));

    private static async Task<HttpStatusCode> AskAsync(ApiConnection connection)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(connection.Server, "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1"));
        using var response = await connection.SendAsync(request, CancellationToken.None);
        return response.StatusCode;
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static string Text(string server = "server: https://127.0.0.1:1", string user = "token: token-1", string context = "exporter@test") =>
        $"""
        apiVersion: v1
        kind: Config
        clusters:
        - name: test
          cluster:
            {server}
        contexts:
        - name: exporter@test
          context: {"{"}cluster: test, user: exporter{"}"}
        - name: nobody@test
          context: {"{"}cluster: test, user: nobody{"}"}
        - name: exporter@nowhere
          context: {"{"}cluster: nowhere, user: exporter{"}"}
        current-context: {context}
        users:
        - name: exporter
          user:
            {user}

        """;

    private string Server() => $"server: {_server.Address.GetLeftPart(UriPartial.Authority)}";

    private string Write(string text)
    {
        var path = Path.Combine(_server.Files.Root, "kubeconfig-of-a-test");
        File.WriteAllText(path, text);
        return path;
    }
}
