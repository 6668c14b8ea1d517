using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using Exporter.Kubernetes;
using Exporter.Kubernetes.Access;

namespace Exporter.Chart.Tests.Support;

/// <summary>What came of an attempt to ask the API server.</summary>
/// <param name="Problem">Null: it was answered.</param>
/// <param name="Seen">What the servers, proxies and plugins received.</param>
internal sealed record Attempt(string? Problem, string Seen);

/// <summary>Servers, proxies, certificates and plugins, and two clients that are given the same configuration for them: kubectl and the exporter.</summary>
public sealed partial class ClientFixture : IDisposable
{
    private const string Query = "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1";

    /// <summary>Longer than any attempt takes on a busy machine.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);

    private readonly string _directory = Directory.CreateTempSubdirectory("kubectl-").FullName;
    private readonly Dictionary<string, TlsServer> _servers = [];
    private readonly Dictionary<string, TestProxy> _proxies = [];

    public ClientFixture()
    {
        var certificates = new TestCertificates(_directory);
        foreach (var (kind, certificate) in certificates.Servers)
        {
            _servers[kind] = new(certificate);
        }
        _servers["v6"] = new(certificates.Servers["root"], IPAddress.IPv6Loopback);
        _servers["plain"] = new(null);
        _proxies["http-proxy"] = new();
        _proxies["https-proxy"] = new(certificate: certificates.Servers["root"].Own);
        _proxies["strange-proxy"] = new(certificate: certificates.Servers["self"].Own);
        _proxies["socks-proxy"] = new(isSocks: true);
        _proxies["refusing-proxy"] = new(answer: "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        _proxies["asking-proxy"] = new(answer: "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n");
        _proxies["silent-socks-proxy"] = new(isSocks: true, answer: "\u0005\u0005\u0000\u0001\0\0\0\0\0\0");
        Directory.CreateDirectory(PathOf("plugins"));
        Directory.CreateDirectory(PathOf("home"));
        File.WriteAllText(PathOf("token"), "token-of-a-file\n");
        File.WriteAllText(PathOf("empty"), "");
    }

    internal string PathOf(string name) => Path.Combine(_directory, name);

    /// <summary>Writes a file; <c>@root@</c> becomes the address of that server, <c>@root:port@</c> its port, and <c>@b64:NAME@</c> a file in base64.</summary>
    internal string Write(string name, string text)
    {
        var path = PathOf(name);
        File.WriteAllText(path, Fill(text));
        return path;
    }

    internal string Fill(string text) => Placeholder().Replace(text, match =>
    {
        var (name, suffix) = (match.Groups[1].Value, match.Groups[2].Value);
        return name == "b64" ? Convert.ToBase64String(File.ReadAllBytes(PathOf(suffix)))
            : name == "dir" ? _directory
            : _servers.TryGetValue(name, out var server) ? suffix == "port" ? $"{server.Port}" : $"{(name == "plain" ? "http" : "https")}://{(name == "v6" ? "[::1]" : "127.0.0.1")}:{server.Port}"
            : _proxies.TryGetValue(name, out var proxy) ? $"127.0.0.1:{proxy.Port}"
            : throw new ArgumentException($"There is no {match.Value}.");
    });

    /// <summary>A program in the directory plugins that notes its arguments and what it was told, and then runs these lines of a shell.</summary>
    internal void WritePlugin(string name, string lines)
    {
        var path = PathOf($"plugins/{name}");
        File.WriteAllText(path, $$"""
            #!/bin/sh
            for argument; do echo "argument: $argument" >>{{PathOf("noted")}}; done
            echo "info: "$KUBERNETES_EXEC_INFO >>{{PathOf("noted")}}
            echo "variable: $PLUGIN_VARIABLE" >>{{PathOf("noted")}}
            {{lines}}

            """.Replace("\r", "", StringComparison.Ordinal));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    /// <param name="kubeconfig">Null: as the environment says.</param>
    /// <param name="before">A program that kubectl is run by.</param>
    internal Attempt AskByKubectl(string? kubeconfig, IReadOnlyDictionary<string, string> variables, params string[] before)
    {
        Clear();
        string[] command = [.. before, Path.Combine(Helm.Tools, "kubectl"), .. kubeconfig is null ? Array.Empty<string>() : ["--kubeconfig", kubeconfig], "get", "--raw", Query];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Clear();
        foreach (var (name, value) in WithPath(variables))
        {
            start.Environment[name] = value;
        }
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Silence))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"kubectl did not end: {string.Join(' ', command)}");
        }
        _ = output.Result;
        return new(process.ExitCode == 0 ? null : error.Result, TakeSeen());
    }

    /// <summary>The same by the exporter's own connection. A failure of another kind than those that name their reason is thrown.</summary>
    internal async Task<Attempt> AskByExporterAsync(string? kubeconfig, IReadOnlyDictionary<string, string> variables, string serviceAccount = "/nonexistent")
    {
        Clear();
        try
        {
            using var connection = Open(kubeconfig, variables, serviceAccount);
            await AskAsync(connection);
            return new(null, TakeSeen());
        }
        catch (Exception e) when (e is AccessException or ApiUnreachableException)
        {
            return new(e.Message, TakeSeen());
        }
    }

    internal ApiConnection Open(string? kubeconfig, IReadOnlyDictionary<string, string> variables, string serviceAccount = "/nonexistent") =>
        new(new KubernetesOptions("worker-1", kubeconfig ?? "", "", ""), new AccessEnvironment(name => WithPath(variables).GetValueOrDefault(name), serviceAccount));

    internal static async Task AskAsync(ApiConnection connection)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(connection.Server, connection.Server.AbsolutePath.TrimEnd('/') + Query));
        using var response = await connection.SendAsync(request, CancellationToken.None);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    public void Dispose()
    {
        foreach (var server in _servers.Values)
        {
            server.Dispose();
        }
        foreach (var proxy in _proxies.Values)
        {
            proxy.Dispose();
        }
        Directory.Delete(_directory, recursive: true);
    }

    private Dictionary<string, string> WithPath(IReadOnlyDictionary<string, string> variables)
    {
        var all = new Dictionary<string, string> { ["PATH"] = $"{Environment.GetEnvironmentVariable("PATH")}", ["HOME"] = PathOf("home") };
        foreach (var (name, value) in variables)
        {
            all[name] = Fill(value);
        }
        return all;
    }

    private void Clear()
    {
        File.Delete(PathOf("noted"));
        TakeSeen();
    }

    internal string TakeSeen()
    {
        var noted = File.Exists(PathOf("noted")) ? File.ReadAllLines(PathOf("noted")) : [];
        return string.Join('\n', [
            .. _servers.SelectMany(server => server.Value.Take().Select(request => $"{server.Key}: {request.Summary}")),
            .. _proxies.SelectMany(proxy => proxy.Value.Take().Select(request => $"{proxy.Key}: {request}")),
            .. noted,
        ]);
    }

    [GeneratedRegex("@([a-z0-9-]+)(?::([^@]*))?@")]
    private static partial Regex Placeholder();
}
