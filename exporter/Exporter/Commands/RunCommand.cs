using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;
using Exporter.Discovery;
using Exporter.Endpoints;
using Exporter.Handshakes;
using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Programs;
using Exporter.State;
using Exporter.Traffic;
using Prometheus;

namespace Exporter.Commands;

/// <summary>podnet-exporter run: the composition of everything.</summary>
internal static partial class RunCommand
{
    /// <summary>
    /// The loops block in the kernel (a drain waits for a grace period, a tcx link too), and the pool starts with as many threads as
    /// there are CPUs, which may be two: scrapes must not wait behind the loops.
    /// </summary>
    private const int MinThreads = 8;

    private static readonly TimeSpan RemovalPause = TimeSpan.FromMilliseconds(250);

    internal static async Task<int> RunAsync(ExporterOptions options, IConfiguration configuration, TextWriter errors)
    {
        if (Prerequisites.FindMissing() is { Count: > 0 } missing)
        {
            return Fail(ExitCode.NotSupported, errors, string.Join('\n', missing));
        }
        if (Prerequisites.ChooseHook(options.Attach.Hook) is not { } hook)
        {
            return Fail(ExitCode.NotSupported, errors, Prerequisites.NoTcx);
        }
        using var api = Prerequisites.OpenApi(options, out var problem);
        if (problem is not null)
        {
            return Fail(ExitCode.BadOptions, errors, problem);
        }
        try
        {
            FileDescriptorLimit.Raise();
            ThreadPool.SetMinThreads(MinThreads, MinThreads);
            var pins = PinnedState.TryOpen(options.Bpf.PinDirectory, out var unpinned);
            if (pins is not null && !pins.TryLock())
            {
                var isEnding = await Standby.RunAsync(options, configuration, StandbyReason.Waiting, () => TryLockAnew(options, ref pins));
                if (isEnding)
                {
                    pins?.Dispose();
                    return ExitCode.Success;
                }
            }
            var (exitCode, isRemovalAskedFor) = await CountAsync(options, configuration, hook, api, pins, unpinned, errors);
            if (isRemovalAskedFor)
            {
                using var client = new RouteClient();
                PinnedState.Remove(pins!, client);
                pins!.Dispose();
                await Standby.RunAsync(options, configuration, StandbyReason.Uninstalled, () => false);
            }
            pins?.Dispose();
            return exitCode;
        }
        catch (FormatException e)
        {
            return Fail(ExitCode.BadOptions, errors, e.Message);
        }
        catch (BpfException e)
        {
            return Fail(ExitCode.NotSupported, errors, Prerequisites.Explain(e));
        }
        catch (Exception e) when (e is IOException or SocketException or NetlinkException)
        {
            // Kestrel: the address is taken, is none of this machine's, or is not for this user.
            return Fail(ExitCode.Failure, errors, e.Message);
        }
    }

    /// <summary>The directory may be gone, and another be there in its place: whoever has the lock of one that is gone has nothing.</summary>
    private static bool TryLockAnew(ExporterOptions options, ref PinDirectory? pins)
    {
        pins?.Dispose();
        pins = PinnedState.TryOpen(options.Bpf.PinDirectory, out _);
        return pins is null || pins.TryLock();
    }

    /// <summary>Counts and serves until the process is to end, or somebody asks that everything be removed.</summary>
    private static async Task<(int ExitCode, bool IsRemovalAskedFor)> CountAsync(
        ExporterOptions options, IConfiguration configuration, HookChoice hook, ApiConnection? api, PinDirectory? pins, string unpinned, TextWriter errors)
    {
        using var kernel = LoadedKernel.Load(options, ref pins, ref unpinned);
        await using var app = Build(options, configuration, kernel, hook, api, pins);
        Tell(app.Logger, kernel.Handshakes, pins, unpinned);
        using var statistics = options.Bpf.RunStatistics ? TryEnableStatistics(app.Logger) : null;
        var reconciler = app.Services.GetRequiredService<InterfaceReconciler>();
        reconciler.Restore();
        var loops = app.Services.GetServices<IHostedService>().OfType<BackgroundService>().ToList();
        try
        {
            await app.StartAsync();
        }
        catch
        {
            // The loops that were started before the one that failed.
            await app.StopAsync();
            kernel.Abandon();
            throw;
        }
        var isRemovalAskedFor = await WaitAsync(app.Lifetime, pins);
        reconciler.LeavesAttached = pins is not null && !isRemovalAskedFor;
        await app.StopAsync();
        // A loop that failed has stopped the host.
        var failure = loops.Select(loop => loop.ExecuteTask?.Exception).FirstOrDefault(exception => exception is not null);
        return (failure is null ? ExitCode.Success : Fail(ExitCode.Failure, errors, failure.ToString()), isRemovalAskedFor);
    }

    /// <returns>Whether somebody has asked for everything to be removed; else the process is to end.</returns>
    private static async Task<bool> WaitAsync(IHostApplicationLifetime lifetime, PinDirectory? pins)
    {
        var stopping = lifetime.ApplicationStopping;
        while (!stopping.IsCancellationRequested)
        {
            await Task.Delay(RemovalPause, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (pins is not null && PinnedState.IsRemovalAskedFor(pins))
            {
                return true;
            }
        }
        return false;
    }

    private static void Tell(ILogger logger, HandshakeAttachment handshakes, PinDirectory? pins, string unpinned)
    {
        if (handshakes is { Programs: null, Problems.Count: > 0 })
        {
            LogNoHandshakes(logger, string.Join("; ", handshakes.Problems));
        }
        else if (handshakes.Problems.Count > 0)
        {
            LogSomeHandshakes(logger, string.Join("; ", handshakes.Problems));
        }
        if (pins is null)
        {
            LogUnpinned(logger, unpinned);
        }
    }

    private static IDisposable? TryEnableStatistics(ILogger logger)
    {
        try
        {
            return BpfStatistics.Enable();
        }
        catch (BpfException e)
        {
            LogNoStatistics(logger, e.Message);
            return null;
        }
    }

    /// <exception cref="FormatException">The certificate, or what is wanted to be shown, cannot be used.</exception>
    private static WebApplication Build(
        ExporterOptions options, IConfiguration configuration, LoadedKernel kernel, HookChoice hook, ApiConnection? api, PinDirectory? pins)
    {
        var (programs, attachment) = (kernel.Traffic, kernel.Handshakes);
        var handshakes = attachment.Programs;
        var registry = Prometheus.Metrics.NewCustomRegistry();
        DotNetStats.Register(registry);
        var builder = ServerHost.CreateBuilder(options, configuration, registry);
        var services = builder.Services;
        services.AddSingleton(kernel.Ledger).AddSingleton(programs).AddSingleton(options.Bpf);
        if (pins is not null)
        {
            services.AddSingleton(pins);
        }
        services.AddSingleton(options.Attach).AddSingleton(options.Drain).AddSingleton(options.Handshake);
        services.AddSingleton(options.Identity).AddSingleton(options.Kubernetes).AddSingleton(options.Metrics);
        services.AddSingleton<LoopHealth>();
        services.AddSingleton<Readiness>();
        services.AddSingleton<ExporterMetrics>();
        services.AddSingleton<PodLabels>();
        services.AddSingleton(SeriesPlan.Create(options.Metrics, options.Handshake));
        services.AddSingleton<RunningScrapes>();
        services.AddSingleton<PodMetrics>();
        services.AddSingleton<PodTable>();
        services.AddSingleton<ITrafficSource>(new KernelTrafficSource(programs));
        services.AddSingleton<TrafficReader>();
        services.AddSingleton(provider => new BpfMetrics(
            provider.GetRequiredService<IMetricFactory>(),
            [() => programs.Programs, () => handshakes?.Programs ?? []],
            MapsOf(programs, handshakes)));
        if (handshakes is not null)
        {
            services.AddSingleton(handshakes);
            services.AddSingleton<IHandshakeSource, KernelHandshakeSource>();
            services.AddSingleton<HandshakeReader>();
            services.AddSingleton<NetworkOwners>();
        }
        services.AddSingleton<RouteClient>();
        services.AddSingleton(_ => new RouteMonitor(addresses: false));
        services.AddSingleton<TcHook>(provider => hook == HookChoice.Tcx
            ? new TcxHook(programs, pins)
            : new ClsactHook(programs, provider.GetRequiredService<RouteClient>(), options.Attach.Priority, pins));
        services.AddSingleton<InterfaceRecords>();
        services.AddSingleton<ProgramObjects>();
        services.AddSingleton<ChangeSignal>();
        services.AddSingleton<LinkWatcher>();
        services.AddSingleton<InterfaceReconciler>();

        // Started in this order and stopped in the reverse: the last drain follows the detaching.
        services.AddHostedService<DrainLoop>();
        services.AddHostedService(provider => provider.GetRequiredService<LinkWatcher>());
        AddPodSource(services, options, api);
        services.AddHostedService(provider => provider.GetRequiredService<InterfaceReconciler>());
        if (options.Bpf.ObjectDirectory.Length > 0)
        {
            services.AddHostedService<ReplacementLoop>();
        }

        var app = ServerHost.Build(builder, options.Server);
        var metrics = app.Services.GetRequiredService<ExporterMetrics>();
        metrics.SetHook("traffic", app.Services.GetRequiredService<TcHook>().Name);
        metrics.SetHook("handshake", handshakes is not null ? HandshakeHooks.Name(handshakes.Hook) : options.Handshake.Hook == HandshakeChoice.Off ? "off" : "unavailable");
        metrics.SetHook("handshake_requests", attachment.SeesRequests ? "kprobe" : options.Handshake.Hook is HandshakeChoice.Off or HandshakeChoice.Tracepoint ? "off" : "unavailable");
        ExporterEndpoints.Map(app, registry);
        return app;
    }

    /// <param name="api">Null: without Kubernetes.</param>
    private static void AddPodSource(IServiceCollection services, ExporterOptions options, ApiConnection? api)
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
        services.AddHostedService<PodWatch>();
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

    [LoggerMessage(30, LogLevel.Error, "TCP handshakes cannot be seen on this kernel, traffic is counted all the same: {Reasons}")]
    private static partial void LogNoHandshakes(ILogger logger, string reasons);

    [LoggerMessage(32, LogLevel.Information, "TCP handshakes are seen, but not in every way: {Reasons}")]
    private static partial void LogSomeHandshakes(ILogger logger, string reasons);

    [LoggerMessage(35, LogLevel.Information, "Nothing outlives this process: what is counted until it ends is lost with it, and nothing is counted until the next is there ({Reason})")]
    private static partial void LogUnpinned(ILogger logger, string reason);

    [LoggerMessage(31, LogLevel.Warning, "Bpf:RunStatistics needs CAP_SYS_ADMIN, or somebody who sets the sysctl kernel.bpf_stats_enabled: {Reason}")]
    private static partial void LogNoStatistics(ILogger logger, string reason);

    private static int Fail(int exitCode, TextWriter errors, string message)
    {
        errors.WriteLine(message);
        return exitCode;
    }
}
