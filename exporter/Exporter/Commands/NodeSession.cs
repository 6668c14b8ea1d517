using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Edges;
using Exporter.Exposition;
using Exporter.Interfaces;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Replacement;
using Exporter.Server;
using Exporter.Signals;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>
/// The loops, the accounts and the pods' names, made of one set of options. When options change, another session takes its place on the same state,
/// and continues where this one has stopped.
/// </summary>
internal sealed class NodeSession : IAsyncDisposable
{
    private readonly LinkClient _client = new();
    private readonly LinkMonitor _monitor = new();
    private readonly IPodSource _pods;
    private readonly PodsExposition _exposition;
    private readonly InterfaceReconciler _reconciler;
    private readonly SessionContext _context;

    /// <summary>The loops, in the order in which they start. They stop in the reverse order: the last drains follow the detaching.</summary>
    private readonly List<BackgroundService> _loops = [];

    private NodeSession(ExporterOptions options, NodeState state)
    {
        var (kernel, own, time) = (state.Kernel, state.Own.Factory, state.Time);
        var labels = options.CreateLabels();
        var table = new PodTable();
        var accountMetrics = new AccountMetrics(own, kernel.Ledger, [.. options.Signals.Select(signal => signal.Totals), EdgeColumns.Totals]);
        var accounts = new PodAccounts(accountMetrics, time, labels, options.Metrics, options.CreatePlan(), kernel.Ledger, Logger<PodAccounts>());
        var context = _context = CreateContext(options, state, table, accounts, accountMetrics, () => _reconciler!.KnowsRestored);
        var rounds = new DrainRounds([.. kernel.Signals.Zip(options.Signals, (loaded, signal) => loaded.Open(signal, context)).OfType<SignalDrain>()]);
        var interfaces = new InterfaceMetrics(own);
        var identifier = new LinkIdentifier(kernel.Namespaces);
        var watcher = new LinkWatcher(_monitor, state.Changes, interfaces, state.Health, state.Generations, time, Logger<LinkWatcher>(), identifier) { Pods = table };
        _pods = state.FindPods(options, labels) ?? new StandalonePodSource(_client, labels, StandalonePodSource.DefaultDirectories);
        _reconciler = new(
            new(watcher, table, accounts, _pods, rounds, _client, kernel.Attacher, interfaces)
            {
                Time = time,
                Options = options.Attach,
                HoldFor = options.Identity.HoldFor,
                Namespaces = kernel.Namespaces is { } namespaces ? new(table, namespaces.FindOwn(), accounts.AcquireHost()) : null,
                Identifier = identifier,
                Pins = kernel.Pins,
            },
            new(kernel.Ledger, labels),
            state.Changes,
            state.Health,
            state.Readiness,
            Logger<InterfaceReconciler>());
        var drains = new DrainMetrics(own, [.. options.Signals.Select(signal => signal.Fields)]);
        var stateMetrics = new StateMetrics(own);
        // They end when the last drain has ended.
        _loops.AddRange(rounds.Drains.Select(drain => drain.Output).OfType<BackgroundService>());
        foreach (var (number, loop) in rounds.Drains.GroupBy(drain => (drain.Interval, drain.HasOwnLoop ? drain : null)).Index())
        {
            IReadOnlyList<Action> statistics = number == 0 ? [state.Bpf.Update, () => stateMetrics.Update(kernel.Pins, kernel.Ledger), ShowHooks] : [];
            _loops.Add(new DrainLoop(number == 0 ? "drain" : $"drain_{loop.First().Fields.Name}", [.. loop], statistics, accounts, drains, state.Health, time, Logger<DrainLoop>()));
        }
        _loops.Add(watcher);
        _loops.Add(_reconciler);
        _loops.AddRange(rounds.Drains.Select(drain => drain.Loop).OfType<BackgroundService>());
        if (options.Bpf.ObjectDirectory.Length > 0)
        {
            _loops.Add(new ReplacementLoop(state.Objects, kernel.Objects, _reconciler, state.Health, time, Logger<ReplacementLoop>()));
        }
        _exposition = new(accounts);
        Content = new(state.Own.Registry, state.Health, state.Readiness, _exposition)
        {
            Pods = () => PodsDocument.Create(_pods, table, labels, kernel.Attacher, time),
            Bpf = () => BpfDocument.Create(kernel.Attacher, kernel.Pins, time, state.Objects, kernel.Objects),
            OfSignals = kernel.Signals.Select(loaded => loaded.Page).OfType<SignalPage>().ToDictionary(page => page.Name, page => (page.ContentType, page.Write)),
        };
        stateMetrics.Update(kernel.Pins, kernel.Ledger);
        stateMetrics.UndecidedPins.Set(kernel.Layout.Undecided);
        ProcessMetrics.ShowBuild(own);
        ProcessMetrics.ShowStandby(own, null);
        ShowHooks();

        ILogger<T> Logger<T>() => state.Logging.CreateLogger<T>();

        void ShowHooks() => state.Hooks.Show(kernel.Attacher.Name, kernel.Signals.SelectMany(signal => signal.Hooks));
    }

    internal ServerView Content { get; }

    /// <summary>The name of the source of pods.</summary>
    internal string PodSource => _pods.Name;

    /// <summary>Ends when one of the loops has failed.</summary>
    internal Task<Exception> Failure { get; private set; } = new TaskCompletionSource<Exception>().Task;

    /// <summary>Continues with the state of the session, or process, before, and starts the loops.</summary>
    internal static async Task<NodeSession> StartAsync(ExporterOptions options, NodeState state)
    {
        var session = new NodeSession(options, state);
        try
        {
            // Before anything is drained: counts from meanwhile find their owners.
            session._reconciler.Restore();
            foreach (var loop in session._loops)
            {
                await loop.StartAsync(CancellationToken.None);
            }
            session.Failure = WaitForFailureAsync(session._loops.Append<BackgroundService?>(state.Watch).OfType<BackgroundService>());
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <param name="knowsRestored">Whether the interfaces from before the session have their addresses and pods.</param>
    private static SessionContext CreateContext(ExporterOptions options, NodeState state, PodTable table, PodAccounts accounts, AccountMetrics metrics, Func<bool> knowsRestored)
    {
        var (ledger, own) = (state.Kernel.Ledger, state.Own.Factory);
        // Also where they are off: then it retires the edges of before.
        var edges = new EdgeAccounts(options.Edges, options.Metrics, ledger, metrics.Retired, new(own), state.Time, state.Logging.CreateLogger<EdgeAccounts>());
        edges.ShowIn(accounts);
        return new(table, metrics, accounts, ledger, own, state.Time, options.Identity.HoldFor, options.Drain.Interval)
        {
            Health = state.Health,
            Logging = state.Logging,
            Node = options.Kubernetes.NodeOrHost,
            Cluster = options.Kubernetes.ClusterName,
            Edges = options.Edges.IsOn ? edges : null,
            Peers = state.FindPeers(options),
            Names = new(() => knowsRestored() && state.ArePeersKnown, state.Time, state.Logging.CreateLogger<KnownNames>()),
        };
    }

    /// <summary>Applies options that need no new object (<see cref="OptionDescription.IsInPlace"/>): no interface and no pod is listed again.</summary>
    internal void Apply(ExporterOptions options)
    {
        _context.Interval = options.Drain.Interval;
        foreach (var loop in _loops.OfType<DrainLoop>())
        {
            loop.ApplyInterval();
        }
        _reconciler.Apply(options.Attach);
    }

    /// <summary>Stops the loops. The last drains follow the detaching. Scrapes that come until another session's content is served get their counts.</summary>
    /// <param name="detaching">How long detaching may take; null: the programs stay attached, for the next session or process.</param>
    internal async Task StopAsync(TimeSpan? detaching)
    {
        _reconciler.Detaching = detaching;
        foreach (var loop in _loops.AsEnumerable().Reverse())
        {
            await loop.StopAsync(CancellationToken.None);
        }
        _exposition.Freeze();
    }

    public ValueTask DisposeAsync()
    {
        foreach (var loop in _loops)
        {
            loop.Dispose();
        }
        _monitor.Dispose();
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task<Exception> WaitForFailureAsync(IEnumerable<BackgroundService> loops)
    {
        var failed = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var loop in loops)
        {
            _ = loop.ExecuteTask?.ContinueWith(task => failed.TrySetResult(task.Exception!), TaskContinuationOptions.OnlyOnFaulted);
        }
        return await failed.Task;
    }
}
