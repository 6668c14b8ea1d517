using System.Diagnostics;
using Exporter.Kubernetes;
using Exporter.Kubernetes.Access;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

/// <summary>Plugins that fail, hang, expire: real programs, by a clock that a test moves.</summary>
public sealed class ExecPluginTests : IDisposable
{
    private const string Version = "client.authentication.k8s.io/v1";

    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);

    private readonly string _directory = Directory.CreateTempSubdirectory("plugin-").FullName;
    private readonly FakeTimeProvider _clock = new();
    private readonly List<ExecPlugin> _plugins = [];

    private string Runs => Path.Combine(_directory, "runs");

    private string Gate => Path.Combine(_directory, "gate");

    public void Dispose()
    {
        _plugins.ForEach(plugin => plugin.Dispose());
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_credential_is_used_until_it_expires()
    {
        var plugin = Create(Print(expires: _clock.GetUtcNow().AddMinutes(10)));
        Assert.Equal("t", (await GetAsync(plugin)).Token);
        _clock.Advance(TimeSpan.FromMinutes(9));
        await GetAsync(plugin);
        Assert.Equal(1, CountRuns());

        _clock.Advance(TimeSpan.FromMinutes(1));
        await GetAsync(plugin);
        Assert.Equal(2, CountRuns());
    }

    [Fact]
    public async Task A_credential_that_the_API_server_refused_is_asked_for_again()
    {
        var plugin = Create(Print());
        plugin.Refuse(await GetAsync(plugin));
        await GetAsync(plugin);
        Assert.Equal(2, CountRuns());
    }

    [Fact]
    public async Task A_failure_names_the_plugin_the_field_the_exit_code_and_the_program_s_own_words_and_the_next_request_tries_again()
    {
        var plugin = Create($"test -e {Gate} && {{ {Print()}; exit 0; }}; echo 'no session, log in' >&2; exit 3");
        var failure = await Assert.ThrowsAsync<ApiUnreachableException>(() => GetAsync(plugin));
        Assert.Equal("the plugin 'sh' of users.u.exec in 'config' fails with exit code 3: no session, log in", failure.Message);

        File.WriteAllText(Gate, "");
        Assert.Equal("t", (await GetAsync(plugin)).Token);
    }

    [Fact]
    public async Task A_program_that_is_not_there_is_named_with_its_install_hint()
    {
        var plugin = Create("", command: "/nonexistent/login");
        var failure = await Assert.ThrowsAsync<ApiUnreachableException>(() => GetAsync(plugin));
        Assert.Equal("the plugin '/nonexistent/login' of users.u.exec in 'config' cannot be started: No such file or directory. Install it.", failure.Message);
    }

    [Fact]
    public async Task A_slow_run_is_waited_for_by_the_next_request_instead_of_being_started_again()
    {
        var plugin = Create($"until test -e {Gate}; do sleep 0.05; done; {Print()}");
        var first = plugin.GetAsync(CancellationToken.None);
        await UntilAsync(() => CountRuns() == 1);
        _clock.Advance(ExecPlugin.Patience);
        var failure = await Assert.ThrowsAsync<ApiUnreachableException>(() => first.WaitAsync(Silence));
        Assert.Contains("has not ended after 15 s", failure.Message, StringComparison.Ordinal);

        File.WriteAllText(Gate, "");
        Assert.Equal("t", (await GetAsync(plugin)).Token);
        Assert.Equal(1, CountRuns());
    }

    [Theory]
    [InlineData("sleep 1000")]
    [InlineData("sleep 1000 & wait")]
    [InlineData("trap '' TERM; while :; do sleep 1000; done")]
    public async Task A_run_that_never_ends_is_killed_with_its_children_and_another_is_started(string hang)
    {
        var plugin = Create($"test -e {Gate} && {{ {Print()}; exit 0; }}; {hang}");
        var first = plugin.GetAsync(CancellationToken.None);
        await UntilAsync(() => CountRuns() == 1);
        _clock.Advance(ExecPlugin.Limit);
        await Assert.ThrowsAsync<ApiUnreachableException>(() => first.WaitAsync(Silence));

        File.WriteAllText(Gate, "");
        await UntilAsync(() => !IsRunning());
        while (CountRuns() == 1)
        {
            // The killed run's own error may come first.
            await Task.WhenAny(GetAsync(plugin));
        }
        Assert.Equal("t", (await GetAsync(plugin)).Token);
    }

    [Fact]
    public async Task A_request_that_is_cancelled_does_not_wait_for_the_plugin_and_the_end_kills_it()
    {
        var plugin = Create("sleep 1000");
        using var stopping = new CancellationTokenSource();
        var asking = plugin.GetAsync(stopping.Token);
        await UntilAsync(() => CountRuns() == 1);

        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking.WaitAsync(Silence));
        plugin.Dispose();
        await UntilAsync(() => !IsRunning());
    }

    [Fact]
    public async Task Endless_output_is_refused_and_does_not_take_the_memory()
    {
        var plugin = Create("head -c 50000000 /dev/zero");
        Assert.EndsWith("prints something other than an ExecCredential in JSON", (await Assert.ThrowsAsync<ApiUnreachableException>(() => GetAsync(plugin))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Opening_a_connection_runs_no_plugin_and_a_failing_one_is_the_reason_why_the_exporter_is_not_ready()
    {
        var kubeconfig = Path.Combine(_directory, "config");
        await File.WriteAllTextAsync(kubeconfig, string.Join('\n', [
            "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]",
            "users: [{name: u, user: {exec: {apiVersion: " + Version + ", command: sh, args: [-c, 'echo no session >&2; exit 1'], interactiveMode: Never}}}]",
            "contexts: [{name: x, context: {cluster: c, user: u}}]",
            "current-context: x",
        ]));
        await using var server = await Kubernetes.ApiServer.CreateAsync();
        await using var node = new WatchingNode(server, new ApiConnection(new KubernetesOptions(WatchingNode.Name, kubeconfig, "")));
        await node.StartAsync();
        await node.Clock.NextPauseAsync();

        Assert.EndsWith($"the plugin 'sh' of users.u.exec in '{kubeconfig}' fails with exit code 1: no session", Assert.Single(node.Readiness.Reasons), StringComparison.Ordinal);
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        var begin = Stopwatch.GetTimestamp();
        while (!isSo())
        {
            Assert.True(Stopwatch.GetElapsedTime(begin) < Silence, "It never came to that.");
            await Task.Delay(20);
        }
    }

    private static string Print(DateTimeOffset? expires = null)
    {
        var expiry = expires is { } time ? $",\"expirationTimestamp\":\"{time:O}\"" : "";
        return $"echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{Version}\",\"status\":{{\"token\":\"t\"{expiry}}}}}'";
    }

    private static Task<ExecCredential> GetAsync(ExecPlugin plugin) => plugin.GetAsync(CancellationToken.None).WaitAsync(Silence);

    private ExecPlugin Create(string script, string command = "sh")
    {
        var plugin = new ExecPlugin(
            new ExecCommand("users.u.exec in 'config'", Version, command, ["-c", $"echo $$ >>{Runs}; {script}"], [("MARK", _directory)], "Install it.", "{}"), _clock);
        _plugins.Add(plugin);
        return plugin;
    }

    private int CountRuns() => File.Exists(Runs) ? File.ReadAllLines(Runs).Length : 0;

    /// <summary>Whether a process of the plugin is there: all have its mark in their environment.</summary>
    private bool IsRunning() => Directory.EnumerateDirectories("/proc").Any(process =>
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "environ")).Contains($"MARK={_directory}", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    });
}
