using System.Net;
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
using Exporter.Security;
using Exporter.Traffic;
using Microsoft.AspNetCore.Server.Kestrel.Core;
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
            // libbpf reads the kernel's types anew for each object, which is most of what a start takes: both at once.
            var attaching = Task.Run(() => HandshakeHooks.Attach(options.Handshake, options.Bpf));
            using var programs = PodTrafficPrograms.Load(options.Bpf.MaxInterfaces);
            using var handshakes = await attaching;
            FileDescriptorLimit.Raise();
            ThreadPool.SetMinThreads(MinThreads, MinThreads);
            WebApplication app;
            try
            {
                app = Build(options, configuration, programs, hook, handshakes, api);
            }
            catch (FormatException e)
            {
                return Fail(ExitCode.BadOptions, errors, e.Message);
            }
            await using var running = app;
            if (handshakes is { Programs: null, Problems.Count: > 0 })
            {
                LogNoHandshakes(app.Logger, string.Join("; ", handshakes.Problems));
            }
            else if (handshakes.Problems.Count > 0)
            {
                LogSomeHandshakes(app.Logger, string.Join("; ", handshakes.Problems));
            }
            using var statistics = options.Bpf.RunStatistics ? TryEnableStatistics(app.Logger) : null;
            var loops = app.Services.GetServices<IHostedService>().OfType<BackgroundService>().ToList();
            try
            {
                await app.StartAsync();
            }
            catch
            {
                // The loops that were started before the one that failed.
                await app.StopAsync();
                throw;
            }
            await app.WaitForShutdownAsync();
            // A loop that failed has stopped the host.
            return loops.Select(loop => loop.ExecuteTask?.Exception).FirstOrDefault(exception => exception is not null) is { } failure
                ? Fail(ExitCode.Failure, errors, failure.ToString())
                : ExitCode.Success;
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
        ExporterOptions options, IConfiguration configuration, PodTrafficPrograms programs, HookChoice hook, HandshakeAttachment attachment, ApiConnection? api)
    {
        var handshakes = attachment.Programs;
        // Nothing is served from files; the working directory, which is the default, need not be one that this user may enter.
        var builder = WebApplication.CreateEmptyBuilder(new() { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddConfiguration(configuration);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            if (options.Server.HasTls)
            {
                Listen(kestrel, options.Server, kestrel.ApplicationServices.GetRequiredService<ServerCertificate>());
            }
        });
        builder.Logging.AddConfiguration(configuration.GetSection("Logging"));
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information);
        // It would print what ends the program, with its stack, before RunAsync does in one line.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "yyyy-MM-ddTHH:mm:ss.fffZ ", true));

        var registry = Prometheus.Metrics.NewCustomRegistry();
        DotNetStats.Register(registry);
        var services = builder.Services;
        services.AddRoutingCore();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<IMetricFactory>(Prometheus.Metrics.WithCustomRegistry(registry));
        services.AddSingleton(options.Attach).AddSingleton(options.Drain).AddSingleton(options.Handshake);
        services.AddSingleton(options.Identity).AddSingleton(options.Kubernetes).AddSingleton(options.Metrics);
        services.AddSingleton<SecretFiles>();
        services.AddSingleton(provider => AccessControl.Open(provider.GetRequiredService<SecretFiles>(), options.Server));
        services.AddSingleton(provider => ServerCertificate.Open(provider.GetRequiredService<SecretFiles>(), options.Server));
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
            [[programs.Transmit, programs.Receive], handshakes?.Programs ?? []],
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
        services.AddSingleton(provider => new ClsactHook(programs, provider.GetRequiredService<RouteClient>(), options.Attach.Priority));
        services.AddSingleton<TcHook>(provider => hook == HookChoice.Tcx ? new TcxHook(programs) : provider.GetRequiredService<ClsactHook>());
        services.AddSingleton<ChangeSignal>();
        services.AddSingleton<LinkWatcher>();
        services.AddSingleton<InterfaceReconciler>();

        // Started in this order and stopped in the reverse: the last drain follows the detaching.
        services.AddHostedService<DrainLoop>();
        services.AddHostedService(provider => provider.GetRequiredService<LinkWatcher>());
        AddPodSource(services, options, api);
        services.AddHostedService(provider => provider.GetRequiredService<InterfaceReconciler>());

        var app = builder.Build();
        var access = app.Services.GetRequiredService<AccessControl>();
        if (options.Server.HasTls)
        {
            app.Services.GetRequiredService<ServerCertificate>();
        }
        if (!options.Server.HasTls)
        {
            options.Server.Urls.ToList().ForEach(app.Urls.Add);
        }
        app.Use((context, next) => access.HandleAsync(context, next));
        var metrics = app.Services.GetRequiredService<ExporterMetrics>();
        metrics.SetHook("traffic", app.Services.GetRequiredService<TcHook>().Name);
        metrics.SetHook("handshake", handshakes is not null ? HandshakeHooks.Name(handshakes.Hook) : options.Handshake.Hook == HandshakeChoice.Off ? "off" : "unavailable");
        metrics.SetHook("handshake_requests", attachment.SeesRequests ? "kprobe" : options.Handshake.Hook is HandshakeChoice.Off or HandshakeChoice.Tracepoint ? "off" : "unavailable");
        ExporterEndpoints.Map(app, registry);
        return app;
    }

    private static void Listen(KestrelServerOptions kestrel, ServerOptions options, ServerCertificate certificate)
    {
        foreach (var address in options.Urls.Select(BindingAddress.Parse))
        {
            void UseTls(ListenOptions listen) => listen.UseHttps(certificate.CreateOptions());
            if (IPAddress.TryParse(address.Host, out var ip))
            {
                kestrel.Listen(ip, address.Port, UseTls);
            }
            else if (address.Host is "*" or "+")
            {
                kestrel.ListenAnyIP(address.Port, UseTls);
            }
            else
            {
                kestrel.ListenLocalhost(address.Port, UseTls);
            }
        }
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

    [LoggerMessage(31, LogLevel.Warning, "Bpf:RunStatistics needs CAP_SYS_ADMIN, or somebody who sets the sysctl kernel.bpf_stats_enabled: {Reason}")]
    private static partial void LogNoStatistics(ILogger logger, string reason);

    private static int Fail(int exitCode, TextWriter errors, string message)
    {
        errors.WriteLine(message);
        return exitCode;
    }
}
