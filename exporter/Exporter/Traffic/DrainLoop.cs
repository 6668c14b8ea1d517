using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Health;
using Exporter.Signals;

namespace Exporter.Traffic;

/// <summary>Drains at every tick, and once more when the program stops.</summary>
/// <param name="drains">Each is tried, whatever becomes of the others; with the signal that it is of, or null.</param>
/// <param name="reader">Says how much was counted, at the end.</param>
internal sealed partial class DrainLoop(
    IReadOnlyList<(RowFields? Signal, Action Drain)> drains,
    TrafficReader reader,
    PodAccounts accounts,
    DrainMetrics metrics,
    LoopHealth health,
    TimeProvider time,
    DrainOptions options,
    ILogger<DrainLoop> logger) : BackgroundService
{
    private const string LoopName = "drain";

    /// <summary>A drain waits for the kernel; on an overloaded node, that can take seconds.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

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
        foreach (var (signal, drain) in drains)
        {
            if (Try(drain) is { } failure)
            {
                metrics.CountError(signal);
                problem = failure;
            }
        }
        if (problem is not null)
        {
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
