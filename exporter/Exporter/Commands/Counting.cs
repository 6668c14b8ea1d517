using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Discovery;
using Exporter.Endpoints;
using Exporter.Handshakes;
using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Programs;
using Exporter.Traffic;
using Prometheus;

namespace Exporter.Commands;

/// <summary>
/// Everything between the kernel and the server, made of one set of options: the loops, the series, who is who. When options change it is made
/// anew on the same kernel and ledger, as after a restart of the process: it goes on where it was.
/// </summary>
internal sealed class Counting : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly List<IHostedService> _loops;
    private readonly InterfaceReconciler _reconciler;

    private Counting(ServiceProvider services, CollectorRegistry registry)
    {
        _services = services;
        Content = new(services, registry);
        _reconciler = services.GetRequiredService<InterfaceReconciler>();
        _loops = [.. services.GetServices<IHostedService>()];
    }

    internal Served Content { get; }

    /// <summary>Who says which pod an interface belongs to.</summary>
    internal string PodSource => _services.GetRequiredService<IPodSource>().Name;

    /// <summary>Ends when one of the loops has failed.</summary>
    internal Task<Exception> Failure { get; private set; } = new TaskCompletionSource<Exception>().Task;

    /// <param name="api">Null: without Kubernetes.</param>
    /// <param name="show">Puts more into the metrics.</param>
    internal static async Task<Counting> StartAsync(ExporterOptions options, LoadedKernel kernel, ApiConnection? api, ILoggerFactory logging, Action<IMetricFactory> show)
    {
        var registry = Prometheus.Metrics.NewCustomRegistry();
        DotNetStats.Register(registry);
        var services = new ServiceCollection();
        services.AddSingleton(logging).AddSingleton(typeof(ILogger<>), typeof(Logger<>));
        services.AddSingleton(TimeProvider.System).AddSingleton<IMetricFactory>(Prometheus.Metrics.WithCustomRegistry(registry));
        Add(services, options, kernel);
        AddPodSource(services, options, api);
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<InterfaceReconciler>());
        if (options.Bpf.ObjectDirectory.Length > 0)
        {
            services.AddSingleton<IHostedService, ReplacementLoop>();
        }
        var counting = new Counting(services.BuildServiceProvider(), registry);
        try
        {
            counting.Show(options, kernel, show);
            counting._reconciler.Restore();
            foreach (var loop in counting._loops)
            {
                await loop.StartAsync(CancellationToken.None);
            }
            counting.Failure = WaitForFailureAsync(counting._loops.OfType<BackgroundService>());
            return counting;
        }
        catch
        {
            await counting.DisposeAsync();
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

    private static void Add(ServiceCollection services, ExporterOptions options, LoadedKernel kernel)
    {
        var handshakes = kernel.Handshakes.Programs;
        services.AddSingleton(options.Attach).AddSingleton(options.Drain).AddSingleton(options.Handshake);
        services.AddSingleton(options.Identity).AddSingleton(options.Kubernetes).AddSingleton(options.Metrics).AddSingleton(options.Bpf);
        services.AddSingleton(kernel.Ledger).AddSingleton(kernel.Traffic).AddSingleton(kernel.Hook).AddSingleton(kernel.Objects);
        if (kernel.Pins is not null)
        {
            services.AddSingleton(kernel.Pins);
        }
        services.AddSingleton<LoopHealth>();
        services.AddSingleton<Readiness>();
        services.AddSingleton<ExporterMetrics>();
        services.AddSingleton<PodLabels>();
        services.AddSingleton(SeriesPlan.Create(options.Metrics, options.Handshake));
        services.AddSingleton<RunningScrapes>();
        services.AddSingleton<PodMetrics>();
        services.AddSingleton<PodTable>();
        services.AddSingleton<ITrafficSource, KernelTrafficSource>();
        services.AddSingleton<TrafficReader>();
        services.AddSingleton(provider => new BpfMetrics(
            provider.GetRequiredService<IMetricFactory>(), [() => kernel.Traffic.Programs, () => handshakes?.Programs ?? []], MapsOf(kernel.Traffic, handshakes)));
        if (handshakes is not null)
        {
            services.AddSingleton(handshakes);
            services.AddSingleton<IHandshakeSource, KernelHandshakeSource>();
            services.AddSingleton<HandshakeReader>();
            services.AddSingleton<NetworkOwners>();
        }
        services.AddSingleton<RouteClient>();
        services.AddSingleton(_ => new RouteMonitor(addresses: false));
        services.AddSingleton<InterfaceRecords>();
        services.AddSingleton<ChangeSignal>();
        services.AddSingleton<LinkWatcher>();
        services.AddSingleton<InterfaceReconciler>();
        services.AddSingleton<IHostedService, DrainLoop>();
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<LinkWatcher>());
    }

    private static void AddPodSource(ServiceCollection services, ExporterOptions options, ApiConnection? api)
    {
        if (api is null)
        {
            services.AddSingleton<IPodSource>(provider => new StandalonePodSource(
                provider.GetRequiredService<RouteClient>(), provider.GetRequiredService<PodLabels>(), StandalonePodSource.DefaultDirectories));
            return;
        }
        services.AddSingleton(new PodApi(api.SendAsync, api.Server, options.Kubernetes.FindNodeName()!));
        services.AddSingleton<KubernetesMetrics>();
        services.AddSingleton(provider => new PodStore(provider.GetRequiredService<PodLabels>(), provider.GetRequiredService<TimeProvider>(), options.Identity.Wait));
        services.AddSingleton<IPodSource>(provider => new KubernetesPodSource(
            provider.GetRequiredService<PodStore>(), provider.GetRequiredService<TimeProvider>(), options.Identity.Wait));
        services.AddSingleton<IHostedService, PodWatch>();
    }

    private static MapUsage[] MapsOf(PodTrafficPrograms programs, TcpHandshakePrograms? handshakes)
    {
        var traffic = new MapUsage("traffic", programs.Traffic.MaxEntries, () => programs.Traffic.Entries);
        return handshakes is null
            ? [traffic]
            :
            [
                traffic,
                new("handshakes", handshakes.Handshakes.MaxEntries, () => handshakes.Handshakes.Entries),
                new("handshakes_late", handshakes.Late.MaxEntries, () => handshakes.Late.Entries),
            ];
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

    private void Show(ExporterOptions options, LoadedKernel kernel, Action<IMetricFactory> show)
    {
        var metrics = _services.GetRequiredService<ExporterMetrics>();
        var attachment = kernel.Handshakes;
        metrics.Pinned.Set(kernel.Pins is null ? 0 : 1);
        metrics.SetHook("traffic", kernel.Hook.Name);
        metrics.SetHook("handshake", attachment.Programs is { } handshakes ? HandshakeHooks.Name(handshakes.Hook) : options.Handshake.Hook == HandshakeChoice.Off ? "off" : "unavailable");
        metrics.SetHook("handshake_requests", attachment.SeesRequests ? "kprobe" : options.Handshake.Hook is HandshakeChoice.Off or HandshakeChoice.Tracepoint ? "off" : "unavailable");
        var factory = _services.GetRequiredService<IMetricFactory>();
        kernel.Objects.ShowIn(factory);
        show(factory);
    }
}
