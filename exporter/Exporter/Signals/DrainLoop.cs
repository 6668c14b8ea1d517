using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Health;

namespace Exporter.Signals;

/// <summary>Drains the signals of one interval at every tick, and once more when the program stops. Signals with other intervals have loops of their own.</summary>
/// <param name="name">The loop's name, as /healthz reports it.</param>
/// <param name="drains">Each is tried, whatever becomes of the others.</param>
/// <param name="statistics">Reads statistics from the kernel at each tick.</param>
internal sealed partial class DrainLoop(
    string name,
    IReadOnlyList<SignalDrain> drains,
    IReadOnlyList<Action> statistics,
    PodAccounts accounts,
    DrainMetrics metrics,
    LoopHealth health,
    TimeProvider time,
    ILogger<DrainLoop> logger) : BackgroundService
{
    /// <summary>A drain waits for the kernel; on an overloaded node, that can take seconds.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Trouble _failure = new();
    private readonly Trouble _blindness = new();
    private readonly PeriodicTimer _timer = new(drains[0].Interval, time);

    /// <summary>The drains may have another interval now, which counts from now on.</summary>
    internal void ApplyInterval()
    {
        var interval = drains[0].Interval;
        // A timer whose period is set waits for all of it, also where it is the same.
        if (_timer.Period != interval)
        {
            _timer.Period = interval;
            health.Beat(name, interval + Patience);
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _timer.Dispose();
    }

    /// <summary>The last drain follows the detaching: the reconciler has stopped before.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        DrainOnce();
        foreach (var drain in drains)
        {
            if (drain.Summary is { } summary)
            {
                LogStopped(summary);
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        health.Beat(name, drains[0].Interval + Patience);
        try
        {
            await Task.WhenAll(drains.Select(drain => drain.WaitToBeginAsync(stoppingToken)));
            do
            {
                health.Beat(name, drains[0].Interval + Patience);
                DrainOnce();
            }
            while (await _timer.NextAsync(stoppingToken));
        }
        finally
        {
            // Also where it is cancelled while it waits to begin.
            health.End(name);
        }
    }

    private void DrainOnce()
    {
        DrainAll();
        ReadStatistics();
        accounts.Settle();
    }

    private void DrainAll()
    {
        string? problem = null;
        var started = time.GetTimestamp();
        for (var i = 0; i < drains.Count; i++)
        {
            try
            {
                drains[i].Drain();
            }
            catch (BpfException e)
            {
                metrics.CountError(drains[i].Fields);
                problem = e.Message;
            }
        }
        if (!drains[0].HasOwnLoop)
        {
            metrics.Duration.Observe(time.GetElapsedTime(started).TotalSeconds);
        }
        if (problem is not null && _failure.Begins())
        {
            LogFailing(problem);
        }
        else if (problem is null && _failure.Ends())
        {
            LogRecovered();
        }
    }

    private void ReadStatistics()
    {
        string? problem = null;
        for (var i = 0; i < statistics.Count; i++)
        {
            try
            {
                statistics[i]();
            }
            catch (BpfException e)
            {
                metrics.CountError(signal: null);
                problem = e.Message;
            }
        }
        if (problem is not null && _blindness.Begins())
        {
            LogBlind(problem);
        }
        else if (problem is null && _blindness.Ends())
        {
            LogSeeing();
        }
    }

    [LoggerMessage(20, LogLevel.Error, "Draining failed; counters stay in the kernel for the next drain: {Reason}")]
    private partial void LogFailing(string reason);

    [LoggerMessage(21, LogLevel.Information, "Draining works again")]
    private partial void LogRecovered();

    [LoggerMessage(23, LogLevel.Error, "Reading the statistics of BPF programs and maps failed, retrying: {Reason}")]
    private partial void LogBlind(string reason);

    [LoggerMessage(24, LogLevel.Information, "Reading the statistics of BPF programs and maps works again")]
    private partial void LogSeeing();

    [LoggerMessage(22, LogLevel.Information, "Stopped; {Summary}")]
    private partial void LogStopped(string summary);
}
