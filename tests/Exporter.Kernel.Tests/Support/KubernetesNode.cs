using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json;
using Exporter.Tests.Kubernetes;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The built binary on a node of a cluster whose API server is the test's.</summary>
internal sealed class KubernetesNode : IAsyncDisposable
{
    internal const string Name = "worker-1";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    private readonly CancellationTokenSource _stop = new();
    private Task? _polling;
    private volatile ImmutableHashSet<string> _attached = [];

    private KubernetesNode(ApiServer server, ExporterProcess exporter) => (Server, Exporter) = (server, exporter);

    internal ApiServer Server { get; }

    internal Cluster Cluster => Server.Cluster;

    internal ExporterProcess Exporter { get; }

    internal static async Task<KubernetesNode> StartAsync(params string[] options) => await StartAsync(await ApiServer.CreateAsync(), options);

    /// <param name="server">Becomes the node's.</param>
    internal static async Task<KubernetesNode> StartAsync(ApiServer server, params string[] options)
    {
        try
        {
            return new(server, await ExporterProcess.StartAsync(
                [$"--Kubernetes:Kubeconfig={server.Files.Kubeconfig}", $"--Kubernetes:NodeName={Name}", .. options]));
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>A pod of the cluster, running at these addresses, that the node took up before it made any interface.</summary>
    internal void Run(string ns, string name, params string[] addresses)
    {
        Cluster.Add(new(ns, name) { NodeName = Name, StartTime = DateTimeOffset.UtcNow.AddMinutes(-1) });
        Cluster.SetStatus(ns, name, "Running", addresses);
    }

    /// <summary>Waits until the exporter counts an interface. Many may be waited for at once.</summary>
    internal async Task WaitForAttachedAsync(string name)
    {
        lock (_stop)
        {
            _polling ??= PollAsync();
        }
        while (!_attached.Contains(name))
        {
            Assert.False(_polling.IsCompleted, "The exporter does not answer.");
            await Task.Delay(Pace);
        }
    }

    internal async Task<ShownPods> GetPodsAsync()
    {
        using var document = JsonDocument.Parse(await Exporter.GetAsync("/api/v1/pods"));
        return new(document.RootElement.Clone());
    }

    internal async Task<ShownPods> GetPodsUntilAsync(Func<ShownPods, bool> wanted)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            var pods = await GetPodsAsync();
            if (wanted(pods))
            {
                return pods;
            }
            Assert.True(Stopwatch.GetElapsedTime(started) < Patience, $"The pods did not become what was wanted:\n{pods.Root}\n{string.Join('\n', Exporter.Log)}");
            await Task.Delay(Pace);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_polling is not null)
        {
            await _polling.ContinueWith(static _ => { }, TaskScheduler.Default);
        }
        Exporter.Dispose();
        await Server.DisposeAsync();
        _stop.Dispose();
    }

    private async Task PollAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            _attached = [.. await Exporter.GetAttachedAsync()];
            await Task.Delay(Pace);
        }
    }
}

/// <summary>What /api/v1/pods says.</summary>
internal sealed record ShownPods(JsonElement Root)
{
    /// <summary>The pod's entry; undefined where there is none.</summary>
    internal JsonElement Pod(string name) =>
        Root.GetProperty("pods").EnumerateArray().FirstOrDefault(pod => pod.GetProperty("pod").GetString() == name);

    /// <summary>The names of its interfaces.</summary>
    internal IReadOnlyList<string> Interfaces(string name) => Pod(name) is { ValueKind: JsonValueKind.Object } pod
        ? [.. pod.GetProperty("interfaces").EnumerateArray().Select(found => found.GetProperty("name").GetString()!)]
        : [];
}
