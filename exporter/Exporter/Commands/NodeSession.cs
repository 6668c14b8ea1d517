using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Bpf.Netlink;
using Exporter.Discovery;
using Exporter.Endpoints;
using Exporter.Exposition;
using Exporter.Handshakes;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.Replacement;
using Exporter.Signals;
using Exporter.State;
using Exporter.Traffic;
using Prometheus;

namespace Exporter.Commands;

/// <summary>
/// The loops, the series and the pods' names, made of one set of options. When options change, another session takes its place on the same state,
/// and continues where this one has stopped.
/// </summary>
internal sealed class NodeSession : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly List<IHostedService> _loops;
    private readonly InterfaceReconciler _reconciler;

    private NodeSession(ServiceProvider services, OwnMetrics own)
    {
        _services = services;
        Content = new(services, own.Registry);
        _reconciler = services.GetRequiredService<InterfaceReconciler>();
        _loops = [.. services.GetServices<IHostedService>()];
    }

    internal ServerView Content { get; }

    /// <summary>Who says which pod an interface belongs to.</summary>
    internal string PodSource => _services.GetRequiredService<IPodSource>().Name;

    /// <summary>Ends when one of the loops has failed.</summary>
    internal Task<Exception> Failure { get; private set; } = new TaskCompletionSource<Exception>().Task;

    internal static async Task<NodeSession> StartAsync(ExporterOptions options, NodeState state)
    {
        var services = new ServiceCollection();
        services.AddSingleton(state.Logging).AddSingleton(typeof(ILogger<>), typeof(Logger<>));
        Add(services, options, state);
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<InterfaceReconciler>());
        if (options.Bpf.ObjectDirectory.Length > 0)
        {
            services.AddSingleton<IHostedService, ReplacementLoop>();
        }
        var session = new NodeSession(services.BuildServiceProvider(), state.Own);
        try
        {
            session.Show(options, state.Kernel, state.Own.Factory);
            session._reconciler.Restore();
            foreach (var loop in session._loops)
            {
                await loop.StartAsync(CancellationToken.None);
            }
            session.Failure = WaitForFailureAsync(session._loops.Append(state.Watch).OfType<BackgroundService>());
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Drains once more, and ends. They stop in the reverse of the order in which they were started: the last drain follows the detaching.
    /// </summary>
    /// <param name="detaching">How long that may take; null: the programs count on, for who comes next.</param>
    internal async Task StopAsync(TimeSpan? detaching)
    {
        _reconciler.Detaching = detaching;
        foreach (var loop in _loops.AsEnumerable().Reverse())
        {
            await loop.StopAsync(CancellationToken.None);
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();

    private static void Add(ServiceCollection services, ExporterOptions options, NodeState state)
    {
        var kernel = state.Kernel;
        var handshakes = kernel.Handshakes.Programs;
        services.AddSingleton(options.Attach).AddSingleton(options.Drain).AddSingleton(options.Handshake);
        services.AddSingleton(options.Identity).AddSingleton(options.Kubernetes).AddSingleton(options.Metrics).AddSingleton(options.Bpf);
        services.AddSingleton(kernel.Ledger).AddSingleton(kernel.Traffic).AddSingleton(kernel.Hook).AddSingleton(state.Objects);
        if (kernel.Pins is not null)
        {
            services.AddSingleton(kernel.Pins);
        }
        var labels = options.CreateLabels();
        services.AddSingleton(state.Time).AddSingleton(state.Health).AddSingleton(state.Readiness).AddSingleton(state.Changes).AddSingleton(state.Bpf);
        services.AddSingleton(new AccountMetrics(state.Own.Factory, kernel.Ledger, AllSignals.Totals)).AddSingleton(labels);
        services.AddSingleton(new DrainMetrics(state.Own.Factory, AllSignals.Rows)).AddSingleton(new InterfaceMetrics(state.Own.Factory));
        services.AddSingleton(new StateMetrics(state.Own.Factory)).AddSingleton(new TrafficLosses(state.Own.Factory));
        services.AddSingleton(new HandshakeLosses(state.Own.Factory, kernel.Ledger));
        services.AddSingleton(options.CreatePlan());
        services.AddSingleton<PodAccounts>();
        services.AddSingleton<PodsExposition>();
        services.AddSingleton<PodTable>();
        services.AddSingleton<ITrafficSource, KernelTrafficSource>();
        services.AddSingleton<TrafficReader>();
        if (handshakes is not null)
        {
            services.AddSingleton(handshakes);
            services.AddSingleton<IHandshakeSource, KernelHandshakeSource>();
            services.AddSingleton<HandshakeReader>();
            services.AddSingleton(provider => new NamespaceOwners(
                provider.GetRequiredService<PodTable>(), kernel.Namespaces!.FindOwn(), provider.GetRequiredService<PodAccounts>().AcquireHost()));
        }
        services.AddSingleton(new LinkIdentifier(kernel.Namespaces));
        services.AddSingleton<LinkClient>();
        services.AddSingleton(_ => new LinkMonitor());
        services.AddSingleton<InterfaceRecords>();
        services.AddSingleton<LinkWatcher>();
        services.AddSingleton<InterfaceReconciler>();
        services.AddSingleton(provider => state.FindPods(options, labels)
            ?? new StandalonePodSource(provider.GetRequiredService<LinkClient>(), labels, StandalonePodSource.DefaultDirectories));
        services.AddSingleton<IReadOnlyList<(RowFields?, Action)>>(FindDrains);
        services.AddSingleton<IHostedService, DrainLoop>();
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<LinkWatcher>());
    }

    private static List<(RowFields? Signal, Action Drain)> FindDrains(IServiceProvider services)
    {
        var pins = services.GetService<PinDirectory>();
        var (ledger, state, bpf) = (services.GetRequiredService<Ledger>(), services.GetRequiredService<StateMetrics>(), services.GetRequiredService<BpfMetrics>());
        List<(RowFields? Signal, Action Drain)> drains = [(TrafficValue.Fields, services.GetRequiredService<TrafficReader>().Drain)];
        if (services.GetService<HandshakeReader>() is { } handshakes)
        {
            drains.Insert(0, (HandshakeValue.Fields, handshakes.Drain));
        }
        drains.Add((null, bpf.Update));
        drains.Add((null, () => state.Update(pins, ledger)));
        return drains;
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

    private void Show(ExporterOptions options, NodeKernel kernel, IMetricFactory own)
    {
        var (metrics, attachment) = (_services.GetRequiredService<StateMetrics>(), kernel.Handshakes);
        metrics.Update(kernel.Pins, kernel.Ledger);
        metrics.UndecidedPins.Set(kernel.Layout.Undecided);
        ProcessMetrics.ShowBuild(own);
        ProcessMetrics.ShowStandby(own, null);
        ProcessMetrics.ShowHook(own, "traffic", kernel.Hook.Name);
        ProcessMetrics.ShowHook(own, "handshake", attachment.Programs is { } handshakes ? HandshakeHooks.Name(handshakes.Hook) : options.Handshake.Hook == HandshakeChoice.Off ? "off" : "unavailable");
        ProcessMetrics.ShowHook(own, "handshake_requests", attachment.SeesRequests ? "kprobe" : options.Handshake.Hook is HandshakeChoice.Off or HandshakeChoice.Tracepoint ? "off" : "unavailable");
    }
}
