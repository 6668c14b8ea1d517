using System.Net;
using Exporter.Endpoints;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Security;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Exporter.Commands;

/// <summary>
/// The server: where it listens, to whom it answers, how it logs. It is there from the start to the end, whatever is counted meanwhile.
/// </summary>
internal sealed class ServerHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ServerHost(WebApplication app, ServedContent content)
    {
        (_app, Content) = (app, content);
        Own = app.Services.GetRequiredService<OwnMetrics>();
        app.Services.GetRequiredService<SecretFiles>().ShowIn(Own.Factory);
    }

    internal ServedContent Content { get; }

    /// <summary>The exporter's own families, in whatever state it is.</summary>
    internal OwnMetrics Own { get; }

    internal ILogger Logger => _app.Logger;

    internal ILoggerFactory LoggerFactory => _app.Services.GetRequiredService<ILoggerFactory>();

    /// <summary>The process is to end.</summary>
    internal CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>Binds the port, and serves.</summary>
    /// <exception cref="FormatException">The certificate, or what is wanted to be shown, cannot be used.</exception>
    /// <exception cref="IOException">The port cannot be had.</exception>
    internal static async Task<ServerHost> StartAsync(ServerOptions options, IConfiguration configuration)
    {
        // Nothing is served from files; the working directory, which is the default, need not be one that this user may enter.
        var builder = WebApplication.CreateEmptyBuilder(new() { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddConfiguration(configuration);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            if (options.HasTls)
            {
                Listen(kestrel, options, kestrel.ApplicationServices.GetRequiredService<ServerCertificate>());
            }
        });
        builder.Logging.AddConfiguration(configuration.GetSection("Logging"));
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information);
        // It would print what ends the program, with its stack, before RunAsync does in one line.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "yyyy-MM-ddTHH:mm:ss.fffZ ", true));
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<OwnMetrics>();
        builder.Services.AddSingleton<SecretFiles>();
        builder.Services.AddSingleton(provider => AccessControl.Open(provider.GetRequiredService<SecretFiles>(), options));
        builder.Services.AddSingleton(provider => ServerCertificate.Open(provider.GetRequiredService<SecretFiles>(), options));

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
            app.Use((context, next) => access.HandleAsync(context, next));
            var content = new ServedContent();
            ExporterEndpoints.Map(app, content);
            await app.StartAsync();
            return new ServerHost(app, content);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>Serves that nothing is counted.</summary>
    internal void ShowStandby(StandbyReason reason)
    {
        ExporterMetrics.ShowBuild(Own.Factory);
        ExporterMetrics.ShowStandby(Own.Factory, reason);
        var services = new ServiceCollection();
        services.AddSingleton(TimeProvider.System).AddSingleton<Health.LoopHealth>().AddSingleton<Health.Readiness>().AddSingleton<RunningScrapes>();
        Content.Set(new(services.BuildServiceProvider(), Own.Registry, null));
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
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
}
