using System.Net;
using Exporter.Options;
using Exporter.Security;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Prometheus;

namespace Exporter.Commands;

/// <summary>The server around whatever is served: where it listens, to whom it answers, how it logs.</summary>
internal static class ServerHost
{
    /// <param name="registry">Of the metrics that are served.</param>
    internal static WebApplicationBuilder CreateBuilder(ExporterOptions options, IConfiguration configuration, CollectorRegistry registry)
    {
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

        var services = builder.Services;
        services.AddRoutingCore();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<IMetricFactory>(Prometheus.Metrics.WithCustomRegistry(registry));
        services.AddSingleton<SecretFiles>();
        services.AddSingleton(provider => AccessControl.Open(provider.GetRequiredService<SecretFiles>(), options.Server));
        services.AddSingleton(provider => ServerCertificate.Open(provider.GetRequiredService<SecretFiles>(), options.Server));
        return builder;
    }

    /// <exception cref="FormatException">The certificate, or what is wanted to be shown, cannot be used.</exception>
    internal static WebApplication Build(WebApplicationBuilder builder, ServerOptions options)
    {
        var app = builder.Build();
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
}
