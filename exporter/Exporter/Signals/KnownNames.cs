namespace Exporter.Signals;

/// <summary>
/// Waits at the beginning of a session for the names that a record is written with for good: restored interfaces have their addresses again, and Services, their
/// backends and nodes are listed. Rows are safe in the kernel meanwhile.
/// </summary>
/// <param name="areKnown">Whether they are; asked often, by any thread.</param>
internal sealed partial class KnownNames(Func<bool> areKnown, TimeProvider time, ILogger logger)
{
    /// <summary>The first list of a watch comes within four seconds and the time of its answer. An API server that is away does not keep records back for longer.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    /// <summary>Ends when they are known, or have been waited for long enough.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    internal async Task WaitAsync(CancellationToken cancelled)
    {
        var started = time.GetTimestamp();
        while (!areKnown())
        {
            if (time.GetElapsedTime(started) >= Longest)
            {
                LogUnknown(logger, (int)Longest.TotalSeconds);
                return;
            }
            await Task.Delay(Look, time, cancelled);
        }
    }

    [LoggerMessage(460, LogLevel.Warning, "The names of pods, Services, their backends and nodes are not all known after {Seconds} s, so the interval from before the start is written without the missing ones: their ends have classes, and their edges are of peer_kind=\"class\". podnet_exporter_kubernetes_watch_up is 0 for the resource that is missing: look for the reason in podnet_exporter_kubernetes_errors_total and in earlier lines about it")]
    private static partial void LogUnknown(ILogger logger, int seconds);
}
