using Exporter.Bpf;
using Exporter.Health;
using Exporter.Interfaces;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Peers;
using Exporter.Pods;
using Exporter.Replacement;

namespace Exporter.Commands;

/// <summary>
/// State that lives from the first session to the last, whatever options are changed to: programs and maps in the kernel, the pods that the API
/// server has reported with the loop that follows them, health and readiness, and the exporter's own metrics.
/// </summary>
internal sealed class NodeState : IAsyncDisposable
{
    /// <summary>Null: without Kubernetes.</summary>
    private readonly KubernetesPodSource? _pods;

    private readonly PodStore? _store;
    private readonly DaemonSetApi? _daemonSets;

    /// <summary>Null: without Kubernetes, or no signal names peers.</summary>
    private readonly PeerWatches? _peers;

    /// <param name="kernel">Stays the caller's.</param>
    /// <param name="api">Null: without Kubernetes. Stays the caller's.</param>
    internal NodeState(ExporterOptions options, NodeKernel kernel, ApiConnection? api, OwnMetrics own, ILoggerFactory logging)
    {
        (Kernel, Own, Logging) = (kernel, own, logging);
        Readiness = new(ProcessMetrics.Ready.CreateGauge(own.Factory));
        Bpf = new(own.Factory, [.. kernel.Objects.Select(loaded => (Func<IReadOnlyList<BpfProgram>>)(() => loaded.Programs))], [.. kernel.Signals.SelectMany(signal => signal.Maps)]);
        Objects = new(options.Bpf, own.Factory, options.Signals);
        Hooks = new(own.Factory, options.Signals);
        if (api is not null && options.PeerClasses is { } classes)
        {
            _peers = new(options.Kubernetes, classes, own, Health, Time, logging);
        }
        if (api is not null)
        {
            _daemonSets = new(api.SendAsync, api.Server);
            _store = new PodStore(Time, options.Identity.HoldFor);
            var metrics = new KubernetesMetrics(own.Factory);
            _pods = new(_store, options.CreateLabels(), Time, BootTime.Read(Time), metrics);
            var (node, logger) = (options.Kubernetes.FindNodeName()!, logging.CreateLogger<PodFeed>());
            var feed = new PodFeed(node, _store, Changes, metrics, Time, logger);
            Watch = new(new(api.SendAsync, api.Server, PodDocument.OfNode(node)), feed, feed.Requests, metrics.PodWatch, Health, Readiness, Time, logger);
        }
    }

    internal TimeProvider Time { get; } = TimeProvider.System;

    internal NodeKernel Kernel { get; }

    internal OwnMetrics Own { get; }

    internal ILoggerFactory Logging { get; }

    internal LoopHealth Health { get; } = new(TimeProvider.System);

    internal LinkGenerations Generations { get; } = new();

    internal Readiness Readiness { get; }

    /// <summary>Wakes the reconciler of the session that runs.</summary>
    internal ChangeSignal Changes { get; } = new();

    internal BpfMetrics Bpf { get; }

    /// <summary>How programs are attached.</summary>
    internal HookMetrics Hooks { get; }

    /// <summary>Objects that have taken the place of others.</summary>
    internal ObjectStatusBoard Objects { get; }

    /// <summary>Follows this node's pods; null: without Kubernetes.</summary>
    internal ResourceWatch<PodDocument>? Watch { get; }

    /// <summary>Begins to follow this node's pods, and the peers of flows.</summary>
    internal Task StartAsync() => Task.WhenAll(Watch?.StartAsync(CancellationToken.None) ?? Task.CompletedTask, _peers?.StartAsync() ?? Task.CompletedTask);

    /// <summary>Whether the peers of flows were listed, or there are none to be listed.</summary>
    internal bool ArePeersKnown => _peers?.Store.IsListed != false;

    /// <summary>Finds who has which address, for a session with these options.</summary>
    internal Func<PeerTable> FindPeers(ExporterOptions options)
    {
        var classes = options.PeerClasses ?? PeerClasses.BuiltIn;
        if (_peers is null)
        {
            var table = PeerTable.Of(classes);
            return () => table;
        }
        _peers.Store.Configure(classes);
        return () => _peers.Store.Table;
    }

    /// <summary>The source of pods for a session with these options. The previous session has ended.</summary>
    /// <returns>Null: without Kubernetes.</returns>
    internal IPodSource? FindPods(ExporterOptions options, PodLabels labels)
    {
        _pods?.Configure(labels, options.Identity.HoldFor);
        return _pods;
    }

    /// <summary>
    /// Whether this process ends because its DaemonSet was deleted. The API server is asked at once: credentials and roles may be deleted in the
    /// same seconds. Without Kubernetes, outside of a pod, or in a pod that no DaemonSet controls, it does not.
    /// </summary>
    /// <param name="patience">How long the API server may take.</param>
    /// <returns>The DaemonSet and its state; null: there is none to ask for.</returns>
    internal async Task<(DaemonSetReference DaemonSet, DaemonSetState State, string Reason)?> FindDaemonSetAsync(TimeSpan patience)
    {
        if (KubernetesOptions.FindPodUid() is not { } uid || _store?.Find(uid) is not { DaemonSet: { } daemonSet })
        {
            return null;
        }
        using var over = new CancellationTokenSource(patience, Time);
        // The connection is for one at a time.
        await Watch!.StopAsync(over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var (state, reason) = await _daemonSets!.FindAsync(daemonSet, over.Token);
        return (daemonSet, state, reason);
    }

    public async ValueTask DisposeAsync()
    {
        if (Watch is not null)
        {
            await Watch.StopAsync(CancellationToken.None);
            Watch.Dispose();
        }
        if (_peers is not null)
        {
            await _peers.DisposeAsync();
        }
    }
}
