using Exporter.Chart.Tests.Support;
using Exporter.Kubernetes.Access;

namespace Exporter.Chart.Tests;

/// <summary>
/// The exporter and the real kubectl are given the same configuration and the same servers: both are let in, with the same request, or neither is.
/// </summary>
public sealed class KubectlTests(ClientFixture fixture) : IClassFixture<ClientFixture>
{
    private const string Root = "server: @root@|certificate-authority: root.crt";

    private const string V1 = "exec:|  apiVersion: client.authentication.k8s.io/v1|  interactiveMode: Never|";

    private const string Token = """{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-plugin"}}""";

    private static readonly Dictionary<string, string> NoVariables = [];

    /// <summary>Lines of the cluster and of the user, separated by bars, and whether kubectl is let in.</summary>
    public static TheoryData<string, string, bool> Kubeconfigs => new()
    {
        // The cluster: where it is.
        { Root, "token: t", true },
        { "server: @root@/|certificate-authority: root.crt", "token: t", true },
        { "server: 127.0.0.1:@root:port@|certificate-authority: root.crt", "token: t", false },
        { "server: @root@/k8s/clusters/c-1|certificate-authority: root.crt", "token: t", true },
        { "server: @root@/k8s/clusters/c-1/|certificate-authority: root.crt", "token: t", true },
        { "server: @plain@", "client-certificate: ec.crt|client-key: ec.key|as: jane", true },
        { "server: @plain@", "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugins/fails, interactiveMode: Never}", true },
        { "server: https://localhost:@root:port@|certificate-authority: root.crt", "token: t", true },
        { "server: @v6@|certificate-authority: root.crt", "token: t", true },
        { "server: @plain@", "token: t", true },
        { "server: 127.0.0.1:@plain:port@", "token: t", true },
        { "server: https://127.0.0.1:@plain:port@|certificate-authority: root.crt", "token: t", false },
        { "server: http://127.0.0.1:@root:port@", "token: t", false },
        { "server: ''", "token: t", false },
        { "certificate-authority: root.crt", "token: t", false },
        { "server: 'https://'|certificate-authority: root.crt", "token: t", false },
        { "server: 'ftp://127.0.0.1'|certificate-authority: root.crt", "token: t", false },
        { "server: 'not an address'|certificate-authority: root.crt", "token: t", false },
        // The cluster: whom to trust.
        { "server: @root@|certificate-authority-data: @b64:root.crt@", "token: t", true },
        { "server: @root@|certificate-authority-data: '@b64:root.crt@'", "token: t", true },
        { "server: @root@|certificate-authority: @dir@/root.crt", "token: t", true },
        { "server: @root@|certificate-authority: ./root.crt", "token: t", true },
        { "server: @root@|certificate-authority: plugins/../root.crt", "token: t", true },
        { "server: @root@|certificate-authority: bundle.crt", "token: t", true },
        { "server: @renewed@|certificate-authority: bundle.crt", "token: t", true },
        { "server: @root@|certificate-authority: bundle-reversed.crt", "token: t", true },
        { "server: @renewed@|certificate-authority: bundle-reversed.crt", "token: t", true },
        { "server: @root@|certificate-authority: half.crt", "token: t", true },
        { "server: @root@|certificate-authority: renewed.crt", "token: t", false },
        { "server: @root@|certificate-authority: none.crt", "token: t", false },
        { "server: @root@|certificate-authority: empty", "token: t", false },
        { "server: @root@|certificate-authority: nonexistent.crt", "token: t", false },
        { "server: @root@|certificate-authority-data: '%%%'", "token: t", false },
        { "server: @root@|certificate-authority-data: bm9uZQ==", "token: t", false },
        { "server: @root@|certificate-authority: root.crt|certificate-authority-data: @b64:root.crt@", "token: t", false },
        { "server: @root@", "token: t", false },
        { "server: @bare@|certificate-authority: intermediate.crt", "token: t", true },
        { "server: @chain@|certificate-authority: intermediate.crt", "token: t", true },
        { "server: @chain@|certificate-authority: root.crt", "token: t", true },
        { "server: @bare@|certificate-authority: root.crt", "token: t", false },
        { "server: @root@|certificate-authority: intermediate.crt", "token: t", false },
        { "server: @forged@|certificate-authority: intermediate.crt", "token: t", false },
        { "server: @self@|certificate-authority: self.crt", "token: t", true },
        { "server: @self@|certificate-authority: root.crt", "token: t", false },
        { "server: @rsa@|certificate-authority: root.crt", "token: t", true },
        { "server: @expired@|certificate-authority: root.crt", "token: t", false },
        { "server: @future@|certificate-authority: root.crt", "token: t", false },
        { "server: @client-only@|certificate-authority: root.crt", "token: t", false },
        { "server: @nameless@|certificate-authority: root.crt", "token: t", false },
        { "server: @named@|certificate-authority: root.crt", "token: t", false },
        { "server: @named@|certificate-authority: root.crt|tls-server-name: api.cluster.test", "token: t", true },
        { "server: @named@|certificate-authority: root.crt|tls-server-name: API.cluster.test", "token: t", true },
        { "server: @root@|certificate-authority: root.crt|tls-server-name: api.cluster.test", "token: t", false },
        { "server: @wildcard@|certificate-authority: root.crt|tls-server-name: api.cluster.test", "token: t", true },
        { "server: @wildcard@|certificate-authority: root.crt|tls-server-name: a.b.cluster.test", "token: t", false },
        { "server: @expired@|insecure-skip-tls-verify: true", "token: t", true },
        { "server: @named@|insecure-skip-tls-verify: yes", "token: t", true },
        { "server: @root@|insecure-skip-tls-verify: false|certificate-authority: root.crt", "token: t", true },
        { "server: @root@|insecure-skip-tls-verify: 'true'", "token: t", false },
        { "server: @root@|insecure-skip-tls-verify: true|certificate-authority: root.crt", "token: t", false },
        { Root + "|disable-compression: true", "token: t", true },
        { Root + "|unknown-field: {a: [1]}", "token: t", true },
        // The cluster: its proxy, which is asked for loopback as well.
        { Root + "|proxy-url: http://@http-proxy@", "token: t", true },
        { Root + "|proxy-url: http://@http-proxy@/", "token: t", true },
        { Root + "|proxy-url: http://name:pass%20word@@http-proxy@", "token: t", true },
        { Root + "|proxy-url: https://@https-proxy@", "token: t", true },
        { Root + "|proxy-url: https://@strange-proxy@", "token: t", false },
        { Root + "|proxy-url: socks5://@socks-proxy@", "token: t", true },
        { Root + "|proxy-url: socks5://name:word@@socks-proxy@", "token: t", true },
        { "server: https://api.invalid:@root:port@|certificate-authority: root.crt|tls-server-name: localhost|proxy-url: socks5://@socks-proxy@", "token: t", true },
        { "server: https://api.invalid:@root:port@|certificate-authority: root.crt|tls-server-name: localhost|proxy-url: http://@http-proxy@", "token: t", true },
        { "server: @v6@|certificate-authority: root.crt|proxy-url: http://127.0.0.1:1", "token: t", false },
        { Root + "|proxy-url: http://@refusing-proxy@", "token: t", false },
        { Root + "|proxy-url: http://@asking-proxy@", "token: t", false },
        { Root + "|proxy-url: socks5://@silent-socks-proxy@", "token: t", false },
        { Root + "|proxy-url: ftp://@http-proxy@", "token: t", false },
        { Root + "|proxy-url: '@http-proxy@'", "token: t", false },
        { Root + "|proxy-url: ''", "token: t", true },
        // The user: tokens and passwords.
        { Root, "token: 'with: signs'", true },
        { Root, "token: 12345", false },
        { Root, "token: true", false },
        { Root, "token: '12345'", true },
        { Root, "token: null|username: u|password: p", true },
        { Root, "token: 2026-01-01", true },
        { Root, "tokenFile: token", true },
        { Root, "tokenFile: @dir@/token", true },
        { Root, "tokenFile: token|token: t", true },
        { Root, "tokenFile: nonexistent", false },
        { Root, "tokenFile: nonexistent|token: t", true },
        { Root, "tokenFile: empty", false },
        { Root, "username: u|password: 'p:p'", true },
        { Root, "username: u|password: p|token: t", false },
        { Root, "username: u|password: p|tokenFile: token", false },
        // The user: certificates.
        { Root, "client-certificate: rsa.crt|client-key: rsa.key", true },
        { Root, "client-certificate: rsa.crt|client-key: rsa-traditional.key", true },
        { Root, "client-certificate: rsa.crt|client-key: rsa-mislabelled.key", true },
        { Root, "client-certificate: rsa-both.pem|client-key: rsa-both.pem", true },
        { Root, "client-certificate: ec.crt|client-key: ec.key", true },
        { Root, "client-certificate: ec.crt|client-key: ec-traditional.key", true },
        { Root, "client-certificate-data: @b64:ec.crt@|client-key-data: @b64:ec.key@", true },
        { Root, "client-certificate-data: @b64:ec.crt@|client-key: ec.key", true },
        { Root, "client-certificate: chained.crt|client-key: chained.key", true },
        { Root, "client-certificate: ec.crt|client-key: ec.key|token: t", true },
        { Root, "client-certificate: ec.crt|client-key: ec.key|username: u|password: p", true },
        { Root, "client-certificate: ec.crt", false },
        { Root, "client-certificate: ec.crt|client-key: rsa.key", false },
        { Root, "client-certificate: ec.crt|client-key: ec-encrypted.key", false },
        { Root, "client-certificate: rsa.crt|client-key: rsa-encrypted.key", false },
        { Root, "client-certificate: ec.crt|client-key: none.crt", false },
        { Root, "client-certificate: none.crt|client-key: ec.key", false },
        { Root, "client-certificate: nonexistent|client-key: ec.key", false },
        { Root, "client-certificate: ec.crt|client-key: nonexistent", false },
        { Root, "client-certificate: ec.crt|client-certificate-data: @b64:ec.crt@|client-key: ec.key", false },
        { Root, "client-certificate: ec.crt|client-key: ec.key|client-key-data: @b64:ec.key@", false },
        // The user: whom to act as.
        { Root, "token: t|as: jane", true },
        { Root, "token: t|as: jane|as-groups: [a, 'b c']|as-uid: '7'|as-user-extra: {'scopes/x': [one, two], UPPER: [three]}", true },
        { Root, "token: t|as-groups: [a]", false },
        { Root, "token: t|as-uid: '7'", false },
        { Root, "token: t|as: jane|as-groups: a", false },
        // The user: plugins.
        { Root, V1 + "  command: plugins/token", true },
        { Root, V1 + "  command: ./plugins/token|  args: [get, 'a  b', '\"quoted\"', \"it's\", '', '$HOME', 'back\\slash']", true },
        { Root, V1 + "  command: @dir@/plugins/token|  env: [{name: PLUGIN_VARIABLE, value: 'a b'}]", true },
        { Root, V1 + "  command: plugins/token|  env: [{value: 'a b'}]", false },
        { Root + "|tls-server-name: localhost|proxy-url: http://@http-proxy@", V1 + "  command: plugins/token|  provideClusterInfo: true", true },
        { "server: @root@|certificate-authority-data: @b64:root.crt@|disable-compression: true|extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: a, count: 7, list: [true, 'x']}}]", V1 + "  command: plugins/token|  provideClusterInfo: true", true },
        { "server: @root@|insecure-skip-tls-verify: true", V1 + "  command: plugins/token|  provideClusterInfo: true", true },
        { Root, V1 + "  command: plugins/certificate", true },
        { Root, V1 + "  command: plugins/both", true },
        { Root, V1 + "  command: plugins/token|token: given", true },
        { Root, V1 + "  command: plugins/token|client-certificate: ec.crt|client-key: ec.key", true },
        { Root, V1 + "  command: plugins/token|username: u|password: p", true },
        { Root, V1 + "  command: plugins/leaves-a-child", true },
        { Root, V1 + "  command: plugins/reads", true },
        { Root, V1 + "  command: sh|  args: [-c, '@dir@/plugins/token']", true },
        { Root, V1 + "  command: no-such-plugin", false },
        { Root, V1 + "  command: plugins/nonexistent", false },
        { Root, V1 + "  command: ''", false },
        { Root, V1 + "  command: plugins/fails", false },
        { Root, V1 + "  command: plugins/silent", false },
        { Root, V1 + "  command: plugins/text", false },
        { Root, V1 + "  command: plugins/empty-status", false },
        { Root, V1 + "  command: plugins/half-certificate", false },
        { Root, V1 + "  command: plugins/beta", false },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugins/token}", false },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugins/token, interactiveMode: IfAvailable}", true },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugins/token, interactiveMode: Always}", false },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugins/token, interactiveMode: Sometimes}", false },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: plugins/beta}", true },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: plugins/token}", false },
        { Root, "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: plugins/token, interactiveMode: Never}", false },
        { Root, "exec: {command: plugins/token, interactiveMode: Never}", false },
        { Root, "auth-provider: {name: gcp}", false },
        { Root, V1 + "  command: plugins/token|auth-provider: {name: oidc}", false },
    };

    /// <summary>Whole files, with bars for line breaks.</summary>
    public static TheoryData<string, bool> Files => new()
    {
        { "", false },
        { "{}", false },
        { "just text", false },
        { "- a list", false },
        { "no: [yaml", false },
        { "\tapiVersion: v1", false },
        { "apiVersion: v1|kind: Config", false },
        { "apiVersion: v2|kind: Config|" + Entries("a"), false },
        { "apiVersion: v1|kind: Pod|" + Entries("a"), false },
        { Entries("a"), true },
        { "apiVersion: v1|kind: Config|preferences: {}|" + Entries("a"), true },
        { "---|apiVersion: v1|kind: Config|" + Entries("a") + "|", true },
        { "# a comment|" + Entries("a") + "|...", true },
        { """{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":"@root@","certificate-authority":"root.crt"}}],"users":[{"name":"u","user":{"token":"j"}}],"contexts":[{"name":"a","context":{"cluster":"c","user":"u"}}],"current-context":"a"}""", true },
        { Entries("nonexistent"), false },
        { Entries("''"), false },
        { Entries("7"), false },
        { Entries("no-user"), false },
        { Entries("unknown-user"), false },
        { Entries("no-cluster"), false },
        { Entries("unknown-cluster"), false },
        { Entries("a").Replace("name: c,", "name: d,", StringComparison.Ordinal), false },
        { Entries("a").Replace("users:", "users:|- {name: u, user: {token: twice}}", StringComparison.Ordinal), false },
        { Entries("a").Replace("contexts:", "contexts: {}|x:", StringComparison.Ordinal), false },
        { Entries("a").Replace("token: t", "token: &x t, username: *x", StringComparison.Ordinal), false },
        { Entries("a").Replace("user: {token: t}", "user: {<<: {token: merged}}", StringComparison.Ordinal), true },
        { Entries("a").Replace("cluster: {", "Cluster: {", StringComparison.Ordinal), false },
    };

    public static TheoryData<string, string, bool> SeveralFiles => new()
    {
        { "current-context: a", Entries("b"), true },
        { Entries("a"), Entries("a").Replace("token: t", "token: second", StringComparison.Ordinal), true },
        { "users: [{name: u, user: {username: first, password: p}}]", Entries("a"), true },
        { Entries("a"), "no: [yaml", false },
        { Entries("a"), "", true },
        { "", Entries("a"), true },
        { "", "", false },
    };

    public static TheoryData<string, string> Exemptions
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var list in new[]
            {
                "", "*", "192.0.2.1", "192.0.2.2", "192.0.2.0/24", "192.0.2.7/24", "192.0.3.0/24", "0.0.0.0/0", "192.0.2.1:6443", "192.0.2.1:443", "192.0.2", "192.0.2.0/33", "::ffff:192.0.2.1",
                "other,*", ":6443", "other, 192.0.2.1 ",
            })
            {
                data.Add(list, "https://192.0.2.1:6443");
            }
            foreach (var list in new[] { "2001:db8::1", "[2001:db8::1]:6443", "[2001:db8::1]:443", "2001:db8::/32", "2001:DB8:0::1", "[2001:db8::1]", "0.0.0.0/0" })
            {
                data.Add(list, "https://[2001:db8::1]:6443");
            }
            foreach (var list in new[]
            {
                "api.invalid", "API.INVALID", ".invalid", "invalid", "*.invalid", "*.api.invalid", ".api.invalid", "api.invalid:6443", "api.invalid:443", ".invalid:6443", "nvalid", " other , api.invalid ",
                "api.invalid.", ",,", "*invalid", "api.*", "0.0.0.0/0",
            })
            {
                data.Add(list, "https://api.invalid:6443");
            }
            data.Add("api.invalid:443", "https://api.invalid");
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Kubeconfigs))]
    public async Task What_kubectl_makes_of_a_cluster_and_a_user_the_exporter_does_too(string cluster, string user, bool isLetIn)
    {
        Helm.Require();
        WritePlugins();
        await CompareAsync(fixture.Write("config", Text(cluster, user)), NoVariables, isLetIn);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task What_kubectl_makes_of_a_file_the_exporter_does_too(string text, bool isLetIn)
    {
        Helm.Require();
        await CompareAsync(fixture.Write("config", text.Replace("|", "\n", StringComparison.Ordinal)), NoVariables, isLetIn);
    }

    [Theory]
    [MemberData(nameof(SeveralFiles))]
    public async Task What_kubectl_makes_of_several_files_in_KUBECONFIG_the_exporter_does_too(string first, string second, bool isLetIn)
    {
        Helm.Require();
        fixture.Write("first", first.Replace("|", "\n", StringComparison.Ordinal));
        fixture.Write("second", second.Replace("|", "\n", StringComparison.Ordinal));
        await CompareAsync(null, new Dictionary<string, string> { ["KUBECONFIG"] = "@dir@/nonexistent:@dir@/first::@dir@/second" }, isLetIn);
    }

    [Theory]
    [InlineData("HTTPS_PROXY", "http://@http-proxy@")]
    [InlineData("https_proxy", "http://@http-proxy@")]
    [InlineData("HTTPS_PROXY", "@http-proxy@")]
    [InlineData("HTTPS_PROXY", "http://name:word@@http-proxy@")]
    [InlineData("HTTPS_PROXY", "socks5://@socks-proxy@")]
    [InlineData("HTTPS_PROXY", "https://@https-proxy@")]
    [InlineData("HTTPS_PROXY", "ftp://@http-proxy@")]
    public async Task A_proxy_of_the_environment_is_asked_as_kubectl_asks_it(string variable, string value)
    {
        Helm.Require();
        var kubeconfig = fixture.Write("config", Text("server: https://api.invalid:@root:port@|certificate-authority: root.crt|tls-server-name: localhost", "token: t"));
        await CompareAsync(kubeconfig, new Dictionary<string, string> { [variable] = value }, isLetIn: true);
    }

    [Theory]
    [InlineData("HTTP_PROXY", "http://@http-proxy@", "")]
    [InlineData("ALL_PROXY", "http://@http-proxy@", "")]
    [InlineData("all_proxy", "http://@http-proxy@", "")]
    [InlineData("HTTPS_PROXY", "http://127.0.0.1:1", "")]
    public async Task A_variable_that_names_no_proxy_for_kubectl_names_none_for_the_exporter(string variable, string value, string exempt)
    {
        Helm.Require();
        var kubeconfig = fixture.Write("config", Text("server: https://api.invalid:@root:port@|certificate-authority: root.crt|tls-server-name: localhost", "token: t"));
        await CompareAsync(kubeconfig, new Dictionary<string, string> { [variable] = value, ["NO_PROXY"] = exempt }, isLetIn: false);
    }

    [Fact]
    public async Task Loopback_is_asked_without_the_proxy_of_the_environment()
    {
        Helm.Require();
        await CompareAsync(fixture.Write("config", Text(Root, "token: t")), new Dictionary<string, string> { ["HTTPS_PROXY"] = "http://127.0.0.1:1" }, isLetIn: true);
    }

    [Theory]
    [MemberData(nameof(Exemptions))]
    public void NO_PROXY_means_what_it_means_to_kubectl(string list, string server)
    {
        Helm.Require();
        var kubeconfig = fixture.Write("config", Text($"server: {server}|insecure-skip-tls-verify: true", "token: t"));
        // In a network of its own nothing is reachable: the error says what it tried to reach, the proxy or the server.
        var kubectl = fixture.AskByKubectl(kubeconfig, new Dictionary<string, string> { ["HTTPS_PROXY"] = "http://127.0.0.1:9", ["NO_PROXY"] = list }, "unshare", "--user", "--net");
        Assert.NotNull(kubectl.Problem);

        Assert.Equal(!kubectl.Problem.Contains("proxyconnect", StringComparison.Ordinal), EnvironmentProxy.IsExempt(list, new(server)));
    }

    [Theory]
    [InlineData("127.0.0.1", "@root:port@", "root.crt", true)]
    [InlineData("::1", "@v6:port@", "root.crt", true)]
    [InlineData("localhost", "@root:port@", "root.crt", true)]
    [InlineData("127.0.0.1", "@renewed:port@", "bundle.crt", true)]
    [InlineData("127.0.0.1", "@bare:port@", "intermediate.crt", true)]
    [InlineData("127.0.0.1", "@root:port@", "renewed.crt", false)]
    [InlineData("127.0.0.1", "@root:port@", "none.crt", false)]
    [InlineData("127.0.0.1", "@root:port@", "nonexistent", false)]
    [InlineData("127.0.0.1", "", "root.crt", false)]
    [InlineData("", "@root:port@", "root.crt", false)]
    public async Task In_a_pod_the_exporter_finds_what_kubectl_finds(string host, string port, string authorities, bool isLetIn)
    {
        Helm.Require();
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root: it mounts what a kubelet mounts");
        var account = fixture.PathOf("serviceaccount");
        Directory.CreateDirectory(account);
        File.WriteAllText(Path.Combine(account, "token"), "token-of-a-pod\n");
        File.Delete(Path.Combine(account, "ca.crt"));
        if (File.Exists(fixture.PathOf(authorities)))
        {
            File.Copy(fixture.PathOf(authorities), Path.Combine(account, "ca.crt"));
        }
        var variables = new Dictionary<string, string> { ["KUBERNETES_SERVICE_HOST"] = host, ["KUBERNETES_SERVICE_PORT"] = port };
        const string Mount = "mount -t tmpfs tmpfs /run && mkdir -p /var/run/secrets/kubernetes.io && ln -s \"$1\" /var/run/secrets/kubernetes.io/serviceaccount && shift && exec \"$@\"";
        var kubectl = fixture.AskByKubectl(null, variables, "unshare", "--mount", "sh", "-c", Mount, "sh", account);
        Check(kubectl, await fixture.AskByExporterAsync(null, variables, account), isLetIn);
    }

    [Theory]
    [InlineData("SSL_CERT_FILE", "@dir@/root.crt", true)]
    [InlineData("SSL_CERT_FILE", "@dir@/bundle.crt", true)]
    [InlineData("SSL_CERT_FILE", "@dir@/renewed.crt", false)]
    [InlineData("SSL_CERT_DIR", "@dir@/authorities", true)]
    [InlineData("SSL_CERT_DIR", "/nonexistent:@dir@/authorities", true)]
    [InlineData("SSL_CERT_DIR", "/nonexistent", false)]
    public async Task The_machine_s_authorities_are_where_kubectl_finds_them(string variable, string value, bool isLetIn)
    {
        Helm.Require();
        Directory.CreateDirectory(fixture.PathOf("authorities"));
        File.Copy(fixture.PathOf("root.crt"), fixture.PathOf("authorities/any-name"), overwrite: true);
        await CompareAsync(fixture.Write("config", Text("server: @root@", "token: t")), new Dictionary<string, string> { [variable] = value }, isLetIn);
    }

    [Fact]
    public async Task Authorities_tokens_and_certificates_that_are_rotated_are_used_for_the_next_request()
    {
        File.Copy(fixture.PathOf("renewed.crt"), fixture.PathOf("rotated.crt"), overwrite: true);
        fixture.Write("rotated-token", "before");
        using var connection = fixture.Open(fixture.Write("config", Text("server: @root@|certificate-authority: rotated.crt", "tokenFile: rotated-token")), NoVariables);
        await Assert.ThrowsAsync<ApiUnreachableException>(() => ClientFixture.AskAsync(connection));

        File.Copy(fixture.PathOf("bundle.crt"), fixture.PathOf("rotated.crt"), overwrite: true);
        await ClientFixture.AskAsync(connection);
        fixture.Write("rotated-token", "after");
        await ClientFixture.AskAsync(connection);

        Assert.Matches("(?s)Bearer before.*Bearer after", fixture.TakeSeen());
    }

    /// <summary>What kubectl takes and the exporter does not: .NET cannot use such keys.</summary>
    [Fact]
    public async Task A_client_key_of_Ed25519_is_refused_with_what_to_do()
    {
        var kubeconfig = fixture.Write("config", Text(Root, "client-certificate: ed25519.crt|client-key: ed25519.key"));
        Assert.Contains("has an Ed25519 key, which this program cannot use; make one for ECDSA or RSA", (await fixture.AskByExporterAsync(kubeconfig, NoVariables)).Problem, StringComparison.Ordinal);
    }

    private static string Entries(string current) =>
        "clusters:|- {name: c, cluster: {server: '@root@', certificate-authority: root.crt}}|users:|- {name: u, user: {token: t}}|contexts:|- {name: a, context: {cluster: c, user: u}}"
        + "|- {name: no-user, context: {cluster: c}}|- {name: unknown-user, context: {cluster: c, user: x}}|- {name: no-cluster, context: {user: u}}|- {name: unknown-cluster, context: {cluster: x, user: u}}"
        + $"|current-context: {current}";

    private static string Text(string cluster, string user) =>
        $"""
        apiVersion: v1
        kind: Config
        clusters:
        - name: test
          cluster:
            {cluster.Replace("|", "\n    ", StringComparison.Ordinal)}
        users:
        - name: exporter
          user:
            {user.Replace("|", "\n    ", StringComparison.Ordinal)}
        contexts:
        - name: exporter@test
          context: {"{cluster: test, user: exporter}"}
        current-context: exporter@test

        """;

    private void WritePlugins()
    {
        if (File.Exists(fixture.PathOf("plugins/token")))
        {
            return;
        }
        static string Status(string fields) => Token.Replace("\"token\":\"from-plugin\"", fields, StringComparison.Ordinal);
        string Certificate(string name) => $"\"clientCertificateData\":{System.Text.Json.JsonSerializer.Serialize(File.ReadAllText(fixture.PathOf($"{name}.crt")))},\"clientKeyData\":{System.Text.Json.JsonSerializer.Serialize(File.ReadAllText(fixture.PathOf($"{name}.key")))}";
        fixture.WritePlugin("token", $"echo '{Token}'");
        fixture.WritePlugin("beta", $"echo '{Token.Replace("/v1", "/v1beta1", StringComparison.Ordinal)}'");
        File.WriteAllText(fixture.PathOf("plugins/certificate.json"), Status(Certificate("ec")));
        File.WriteAllText(fixture.PathOf("plugins/both.json"), Status(Certificate("rsa") + ",\"token\":\"with-certificate\",\"expirationTimestamp\":\"2999-01-01T00:00:00Z\""));
        File.WriteAllText(fixture.PathOf("plugins/half.json"), Status("\"clientCertificateData\":\"x\""));
        fixture.WritePlugin("certificate", $"cat {fixture.PathOf("plugins/certificate.json")}");
        fixture.WritePlugin("both", $"cat {fixture.PathOf("plugins/both.json")}");
        fixture.WritePlugin("half-certificate", $"cat {fixture.PathOf("plugins/half.json")}");
        fixture.WritePlugin("fails", "echo 'no session, log in' >&2; exit 3");
        fixture.WritePlugin("silent", "exit 0");
        fixture.WritePlugin("text", "echo 'please log in'");
        fixture.WritePlugin("empty-status", $"echo '{Status("")}'");
        fixture.WritePlugin("reads", $"cat >/dev/null; echo '{Token}'");
        fixture.WritePlugin("leaves-a-child", $"sleep 2 >/dev/null 2>&1 & echo '{Token}'");
    }

    private async Task CompareAsync(string? kubeconfig, IReadOnlyDictionary<string, string> variables, bool isLetIn) =>
        Check(fixture.AskByKubectl(kubeconfig, variables), await fixture.AskByExporterAsync(kubeconfig, variables), isLetIn);

    private static void Check(Attempt kubectl, Attempt exporter, bool isLetIn)
    {
        Assert.True(kubectl.Problem is null == isLetIn, $"kubectl: {kubectl.Problem ?? "was let in"}\n{kubectl.Seen}");
        Assert.True(exporter.Problem is null == isLetIn, $"The exporter: {exporter.Problem ?? "was let in"}\nkubectl: {kubectl.Problem}");
        if (isLetIn)
        {
            Assert.Equal(kubectl.Seen, exporter.Seen);
            return;
        }
        Assert.DoesNotContain("inner exception", exporter.Problem, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("   at ", exporter.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", exporter.Problem, StringComparison.Ordinal);
    }
}
