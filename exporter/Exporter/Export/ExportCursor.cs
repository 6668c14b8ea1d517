using System.Globalization;
using Exporter.Health;

namespace Exporter.Export;

/// <summary>
/// Hands the lines of one reader to its sink, batch after batch, and each again until the sink has taken it. When it stops, it writes what is left, as long as
/// the time to end lasts.
/// </summary>
internal sealed partial class ExportCursor(ExportReader reader, IRecordSink sink, ExportMetrics metrics, LoopHealth health, TimeProvider time, ILogger logger) : BackgroundService
{
    internal static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>A write that lasts longer is shown and logged as a failure; the cursor waits for it all the same.</summary>
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(10);

    private readonly Backoff _pauses = new(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(15));
    private readonly Trouble _losing = new();
    private readonly PeriodicTimer _timer = new(Tick, time);

    /// <summary>The wait for the next tick, which is shared by all waits.</summary>
    private Task? _tick;

    /// <summary>The write that the sink was handed last, if it took its time.</summary>
    private Task _write = Task.CompletedTask;

    /// <summary>Why the sink takes no records, as it was logged; null: it does.</summary>
    private string? _problem;

    private long _losses = reader.Counts.Backpressure;

    /// <summary>How long the sink has at the end for what is left.</summary>
    internal TimeSpan Grace { get; init; } = DefaultGrace;

    private string LoopName => $"export_{sink.Name}";

    public override void Dispose()
    {
        base.Dispose();
        _timer.Dispose();
        metrics.Remove();
    }

    /// <summary>
    /// Disposes the sink, once the cursor has stopped, and the sink ended the write that it was handed last; one that never does stays. A client may take long to end,
    /// so it does that on a thread of the pool.
    /// </summary>
    internal Task ReleaseSinkAsync() =>
        sink is IDisposable disposable ? _write.ContinueWith(_ => disposable.Dispose(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default) : Task.CompletedTask;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var end = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        using var stopping = stoppingToken.Register(() => end.CancelAfter(Grace));
        try
        {
            while (true)
            {
                var isLast = stoppingToken.IsCancellationRequested;
                while (reader.TryRead() is { } batch)
                {
                    await DeliverAsync(batch, stoppingToken, end.Token);
                }
                if (isLast)
                {
                    break;
                }
                await WatchAsync(reader.Lines.WaitAsync(stoppingToken).AsTask());
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            LogLeft(logger, sink.Name, reader.Counts.UnderWay);
        }
        metrics.Show(reader);
        health.End(LoopName);
    }

    /// <summary>Has the sink write a batch until it has.</summary>
    private async Task DeliverAsync(RecordBatch batch, CancellationToken stopping, CancellationToken end)
    {
        while (true)
        {
            try
            {
                var began = time.GetTimestamp();
                var write = sink.WriteAsync(batch, end);
                _write = write.IsCompletedSuccessfully ? Task.CompletedTask : write.AsTask();
                // A sink that ignores the end keeps its batch, and nothing else waits for it.
                var task = _write.WaitAsync(end);
                await WatchAsync(task, began);
                await task;
                break;
            }
            catch (Exception e) when (e is not OperationCanceledException || !end.IsCancellationRequested)
            {
                // One of another kind is a fault of the sink, which is not to end the counting.
                Fail(e.Message, e is SinkException ? null : e);
                batch.Restart();
                await PauseAsync(stopping, end);
                metrics.CountRetried(batch);
            }
        }
        metrics.CountSettled(batch);
        reader.Settle(batch);
        Recover();
    }

    /// <summary>Waits for a random time, since other nodes' sinks may have failed at the same moment. A stop cuts it short, for the attempts that are left.</summary>
    private async Task PauseAsync(CancellationToken stopping, CancellationToken end)
    {
        var isStopping = stopping.IsCancellationRequested;
        await WatchAsync(Task.Delay(_pauses.NextAtRandom(), time, isStopping ? end : stopping));
        end.ThrowIfCancellationRequested();
        if (!isStopping && stopping.IsCancellationRequested)
        {
            _pauses.Reset();
        }
    }

    /// <summary>Waits for a task to end, in whatever way, while the loop's health and the metrics are kept.</summary>
    /// <param name="began">When a write began, that is reported if it lasts; null: it is another wait.</param>
    private async Task WatchAsync(Task task, long? began = null)
    {
        while (true)
        {
            if (_tick is null or { IsCompleted: true })
            {
                _tick = _timer.WaitForNextTickAsync(CancellationToken.None).AsTask();
                Beat();
            }
            if (task.IsCompleted)
            {
                return;
            }
            await Task.WhenAny(task, _tick);
            if (!task.IsCompleted && began is { } at && time.GetElapsedTime(at) >= Slow)
            {
                Fail(string.Create(CultureInfo.InvariantCulture, $"a write has lasted for {Slow.TotalSeconds} s; look whether its other end reads"));
            }
        }
    }

    private void Beat()
    {
        health.Beat(LoopName, Patience);
        metrics.Show(reader);
        var losses = reader.Counts.Backpressure;
        if (losses > _losses && _losing.Begins())
        {
            LogLosing(logger, sink.Name);
        }
        else if (losses == _losses && reader.QueueBytes == 0 && _losing.Ends())
        {
            LogKeepsUp(logger, sink.Name, losses);
        }
        _losses = losses;
    }

    /// <param name="fault">An exception that sinks do not throw on purpose; null: it is not one.</param>
    private void Fail(string problem, Exception? fault = null)
    {
        metrics.ShowUp(false);
        if (_problem != problem)
        {
            _problem = problem;
            if (fault is null)
            {
                LogFailing(logger, sink.Name, problem);
            }
            else
            {
                LogFault(logger, fault, sink.Name, fault.GetType().Name, problem);
            }
        }
    }

    private void Recover()
    {
        _pauses.Reset();
        if (_problem is not null)
        {
            _problem = null;
            metrics.ShowUp(true);
            LogWorks(logger, sink.Name);
        }
    }

    [LoggerMessage(420, LogLevel.Error, "The sink {Sink} takes no records: {Reason}. They are kept in up to Export:MaxMemory and sent again; beyond that the oldest are counted as lost")]
    private static partial void LogFailing(ILogger logger, string sink, string reason);

    [LoggerMessage(425, LogLevel.Error, "The sink {Sink} failed by a fault of the exporter ({Kind}: {Reason}). Its records are kept in up to Export:MaxMemory and sent again; beyond that the oldest are counted as lost. Report the fault with this line and its stack trace; without this sink in Export:Sinks the others continue")]
    private static partial void LogFault(ILogger logger, Exception fault, string sink, string kind, string reason);

    [LoggerMessage(421, LogLevel.Information, "The sink {Sink} takes records again")]
    private static partial void LogWorks(ILogger logger, string sink);

    [LoggerMessage(422, LogLevel.Warning, "The sink {Sink} is too slow: Export:MaxMemory is used up, and its oldest records are dropped and counted as lost. Raise it, make the sink faster, or export fewer records")]
    private static partial void LogLosing(ILogger logger, string sink);

    [LoggerMessage(423, LogLevel.Information, "The sink {Sink} keeps up again; it has lost {Count} records by backpressure in total")]
    private static partial void LogKeepsUp(ILogger logger, string sink, long count);

    [LoggerMessage(424, LogLevel.Warning, "The sink {Sink} has not taken {Count} records in the time to end")]
    private static partial void LogLeft(ILogger logger, string sink, long count);
}
