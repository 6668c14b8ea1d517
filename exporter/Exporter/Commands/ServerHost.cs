using System.Diagnostics;
using System.Net;
using Exporter.Export;
using Exporter.Metrics;
using Exporter.Server;
using Exporter.Server.Security;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Console;

namespace Exporter.Commands;

/// <summary>
/// The server: where it listens, to whom it answers, how it logs. It is there from the start to the end, whatever is counted meanwhile.
/// </summary>
internal sealed class ServerHost : IAsyncDisposable
{
    /// <summary>The request line's limit, as other servers have it.</summary>
    private const int MaxRequestLine = 8192;

    /// <summary>How long running requests may continue when the process ends, less than Kubernetes waits.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly WebApplication _app;

    private ServerHost(WebApplication app, CurrentView content)
    {
        (_app, Content) = (app, content);
        Own = app.Services.GetRequiredService<OwnMetrics>();
        Gate = app.Services.GetRequiredService<ConnectionGate>();
        Refusals = app.Services.GetRequiredService<ServerRefusals>();
        var secrets = app.Services.GetRequiredService<SecretFiles>();
        OnHangup(secrets.ReadAgain);
    }

    internal CurrentView Content { get; }

    /// <summary>The exporter's own families, in whatever state it is.</summary>
    internal OwnMetrics Own { get; }

    internal ServerRefusals Refusals { get; }

    internal ConnectionGate Gate { get; }

    /// <summary>Registers an action for SIGHUP, which asks for files to be read again; the certificate and credentials are read by then.</summary>
    internal void OnHangup(Action read) => ((SignalLifetime)_app.Services.GetRequiredService<IHostLifetime>()).ReadFiles += read;

    /// <summary>The addresses that it listens on, with the ports that the kernel chose.</summary>
    internal ICollection<string> Urls => _app.Urls;

    internal ILogger Logger => _app.Logger;

    internal ILoggerFactory LoggerFactory => _app.Services.GetRequiredService<ILoggerFactory>();

    /// <summary>The process is to end.</summary>
    internal CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>Binds the port, and serves.</summary>
    /// <exception cref="FormatException">The certificate, the token or the passwords cannot be used.</exception>
    /// <exception cref="IOException">The port cannot be had.</exception>
    internal static async Task<ServerHost> StartAsync(ServerOptions options, IConfiguration configuration, TimeProvider? time = null)
    {
        // Nothing is served from files; the working directory, which is the default, need not be one that this user may enter.
        var builder = WebApplication.CreateEmptyBuilder(new() { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddConfiguration(configuration);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            SetLimits(kestrel.Limits, options);
            var gate = kestrel.ApplicationServices.GetRequiredService<ConnectionGate>();
            kestrel.ConfigureEndpointDefaults(listen =>
            {
                // One request at a time on a connection: what bounds connections bounds requests.
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(next => connection => gate.RunAsync(connection, next));
            });
            if (options.HasTls)
            {
                Listen(kestrel, options, kestrel.ApplicationServices.GetRequiredService<ServerCertificate>());
            }
        });
        AddLogging(builder.Logging, configuration);
        AddServices(builder.Services, options, time ?? TimeProvider.System);

        var app = builder.Build();
        try
        {
            var access = app.Services.GetRequiredService<AccessControl>();
            if (options.HasTls)
            {
                app.Services.GetRequiredService<ServerCertificate>();
            }
            else
            {
                options.Urls.ToList().ForEach(app.Urls.Add);
            }
            var (gate, refusals) = (app.Services.GetRequiredService<ConnectionGate>(), app.Services.GetRequiredService<ServerRefusals>());
            app.Services.GetRequiredService<DiagnosticListener>().Subscribe(refusals, static (name, _, _) => name == ServerRefusals.BadRequestEvent);
            app.Use((context, next) => gate.RunAsync(context, next));
            app.Use((context, next) => access.HandleAsync(context, next));
            var content = new CurrentView();
            ExporterEndpoints.Map(app, content, options.MaxScrapes, refusals);
            var server = new ServerHost(app, content);
            await app.StartAsync();
            return server;
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>Serves that nothing is counted.</summary>
    /// <param name="notReady">Why this process is not ready; null: it is, since it does what it was asked for.</param>
    internal void ShowStandby(StandbyReason reason, string? notReady = null)
    {
        ProcessMetrics.ShowBuild(Own.Factory);
        ProcessMetrics.ShowStandby(Own.Factory, reason);
        var readiness = new Health.Readiness(ProcessMetrics.Ready.CreateGauge(Own.Factory));
        if (notReady is not null)
        {
            readiness.WaitFor("standby", notReady);
        }
        else
        {
            readiness.MarkReady("standby");
        }
        Content.Set(new(Own.Registry, new(TimeProvider.System), readiness));
    }

    /// <summary>Ends all answers. The last log lines may follow.</summary>
    internal Task StopAsync()
    {
        Gate.End();
        return _app.StopAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _app.DisposeAsync();
    }

    private static void AddLogging(ILoggingBuilder logging, IConfiguration configuration)
    {
        logging.AddConfiguration(configuration.GetSection("Logging"));
        logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information);
        // On a node that stands still for a second it would warn of this program's threads. LoopHealth and the probes say whether the program is late.
        logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Error);
        // It would print what ends the program, with its stack, before RunAsync does in one line.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        if (ExportOptions.ReadSinks(new(configuration)).Contains(StdoutSink.SinkName))
        {
            // Standard output is for records.
            logging.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        }
        logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "yyyy-MM-ddTHH:mm:ss.fffZ ", true));
    }

    private static void AddServices(IServiceCollection services, ServerOptions options, TimeProvider time)
    {
        services.AddRoutingCore();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = StopTimeout);
        services.AddSingleton(time).AddSingleton(options);
        services.AddSingleton<OwnMetrics>().AddSingleton<ConnectionGate>();
        services.AddSingleton(provider => new ServerRefusals(provider.GetRequiredService<OwnMetrics>().Factory));
        services.AddSingleton<IConnectionListenerFactory, GatedListenerFactory>();
        services.AddSingleton<IHostLifetime, SignalLifetime>();
        services.AddSingleton(provider => new SecretFiles(
            provider.GetRequiredService<OwnMetrics>().Factory, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<SecretFiles>>()));
        services.AddSingleton(provider => AccessControl.Open(provider.GetRequiredService<SecretFiles>(), options, provider.GetRequiredService<ServerRefusals>()));
        services.AddSingleton(provider => ServerCertificate.Open(provider.GetRequiredService<SecretFiles>(), options));
    }

    private static void SetLimits(KestrelServerLimits limits, ServerOptions options)
    {
        // From a request's first byte on; the gate's begins with the connection.
        limits.RequestHeadersTimeout = options.HeaderTimeout;
        limits.MaxRequestLineSize = Math.Min(MaxRequestLine, options.MaxHeaderSize);
        limits.MaxRequestHeadersTotalSize = options.MaxHeaderSize;
        limits.MaxRequestBufferSize = limits.MaxRequestLineSize + options.MaxHeaderSize;
        limits.MaxRequestBodySize = 0;
    }

    private static void Listen(KestrelServerOptions kestrel, ServerOptions options, ServerCertificate certificate)
    {
        foreach (var address in options.Urls.Select(BindingAddress.Parse))
        {
            void UseTls(ListenOptions listen) => listen.UseHttps(certificate.CreateOptions(options.HeaderTimeout));
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
}
