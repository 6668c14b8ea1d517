using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Handshakes;
using Exporter.Health;
using Exporter.Metrics;

namespace Exporter.Traffic;

/// <summary>Drains at every tick, and once more when the program stops.</summary>
/// <param name="handshakes">Null where handshakes are not counted.</param>
internal sealed partial class DrainLoop(
    TrafficReader reader,
    PodAccounts accounts,
    ExporterMetrics metrics,
    LoopHealth health,
    TimeProvider time,
    DrainOptions options,
    BpfMetrics bpfMetrics,
    ILogger<DrainLoop> logger,
    HandshakeReader? handshakes = null) : BackgroundService
{
    private const string LoopName = "drain";

    /// <summary>A drain waits for the kernel; on a node that is out of breath, that can take seconds.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Each is tried, whatever becomes of the others.</summary>
    private readonly Action[] _drains = [.. handshakes is null ? Array.Empty<Action>() : [handshakes.Drain], reader.Drain, bpfMetrics.Update];

    private readonly Trouble _failure = new();

    /// <summary>The last drain comes after the reconciler has detached, since services stop in the reverse of their order.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        DrainOnce();
        LogStopped(reader.Credited.Packets, reader.Credited.Bytes);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Interval, time);
        do
        {
            health.Beat(LoopName, options.Interval + Patience);
            DrainOnce();
        }
        while (await timer.NextAsync(stoppingToken));
    }

    private void DrainOnce()
    {
        string? problem = null;
        foreach (var drain in _drains)
        {
            problem = Try(drain) ?? problem;
        }
        if (problem is not null)
        {
            metrics.DrainErrors.Inc();
            if (_failure.Begins())
            {
                LogFailing(problem);
            }
        }
        else if (_failure.Ends())
        {
            LogRecovered();
        }
        accounts.Settle();
    }

    /// <summary>Returns what is wrong, or null.</summary>
    private static string? Try(Action drain)
    {
        try
        {
            drain();
            return null;
        }
        catch (BpfException e)
        {
            return e.Message;
        }
    }

    [LoggerMessage(20, LogLevel.Error, "Draining failed; counters stay in the kernel for the next drain: {Reason}")]
    private partial void LogFailing(string reason);

    [LoggerMessage(21, LogLevel.Information, "Draining works again")]
    private partial void LogRecovered();

    [LoggerMessage(22, LogLevel.Information, "Stopped; {Packets} packets with {Bytes} bytes were counted for pods")]
    private partial void LogStopped(ulong packets, ulong bytes);
}
