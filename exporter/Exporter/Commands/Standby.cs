using Exporter.Endpoints;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Options;
using Prometheus;

namespace Exporter.Commands;

/// <summary>Serves while somebody else counts, or nobody: it is alive and ready, and has nothing to show of pods.</summary>
internal static partial class Standby
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>Serves until it is over, or the process is to end.</summary>
    /// <param name="reason">Why, for the log and the metric.</param>
    /// <param name="isOver">Asked some times a second.</param>
    /// <returns>Whether the process is to end.</returns>
    internal static async Task<bool> RunAsync(ExporterOptions options, IConfiguration configuration, StandbyReason reason, Func<bool> isOver)
    {
        var registry = Prometheus.Metrics.NewCustomRegistry();
        var builder = ServerHost.CreateBuilder(options, configuration, registry);
        builder.Services.AddSingleton<LoopHealth>().AddSingleton<Readiness>().AddSingleton<RunningScrapes>();
        await using var app = ServerHost.Build(builder, options.Server);
        var metrics = app.Services.GetRequiredService<IMetricFactory>();
        ExporterMetrics.ShowBuild(metrics);
        ExporterMetrics.ShowStandby(metrics, reason);
        ExporterEndpoints.MapHealth(app, registry);
        await app.StartAsync();
        if (reason == StandbyReason.Waiting)
        {
            LogWaiting(app.Logger, options.Bpf.PinDirectory);
        }
        else
        {
            LogUninstalled(app.Logger);
        }
        var stopping = app.Lifetime.ApplicationStopping;
        while (!stopping.IsCancellationRequested && !isOver())
        {
            await Task.Delay(Pause, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        var isEnding = stopping.IsCancellationRequested;
        await app.StopAsync();
        return isEnding;
    }

    [LoggerMessage(33, LogLevel.Information, "Another exporter has the lock of {Directory}: waiting until it ends")]
    private static partial void LogWaiting(ILogger logger, string directory);

    [LoggerMessage(34, LogLevel.Warning, "Everything that was attached and pinned is removed, as 'podnet-exporter uninstall' has asked; nothing is counted until this process is started anew")]
    private static partial void LogUninstalled(ILogger logger);
}
