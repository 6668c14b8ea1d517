using Exporter.Health;

namespace Exporter.Kubernetes;

/// <summary>
/// Requests for a list beside a watch that works: at most one in ten seconds, fewer after failures. Used by the watch, one call at a time.
/// </summary>
/// <param name="purpose">Why lists are requested, for messages.</param>
/// <param name="requested">Set when a list is wanted.</param>
/// <param name="isBehind">Whether the watch has not yet delivered the states that the previous list showed. Then the next list replaces it.</param>
internal sealed class ListRequests(string purpose, ChangeSignal requested, Func<bool> isBehind, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ListWithin = TimeSpan.FromSeconds(2);

    /// <summary>Time from a list that failed to the next try, and as much again at random; the watch continues meanwhile.</summary>
    private static readonly TimeSpan FailedPause = TimeSpan.FromSeconds(30);

    private bool _isRequested;

    /// <summary>No list is due before the pause since then is over. By a clock that no program sets.</summary>
    private long _since;

    private TimeSpan _pause;

    internal string Purpose => purpose;

    internal bool IsDue { get; private set; }

    /// <summary>Waits until a list is due. Cancelled meanwhile, a request stays for the next call.</summary>
    internal async Task WaitAsync(CancellationToken cancellationToken)
    {
        if (isBehind())
        {
            await Task.Delay(UntilAllowed(), time, cancellationToken);
        }
        if (!_isRequested && !isBehind())
        {
            await requested.WaitAsync(cancellationToken);
        }
        _isRequested = true;
        await Task.Delay(UntilAllowed() + RetryPauses.Between(TimeSpan.Zero, ListWithin), time, cancellationToken);
        IsDue = true;
    }

    /// <summary>Notes that a list has come, requested or not.</summary>
    /// <param name="askedAt">When it was asked for, by a clock that no program sets.</param>
    internal void Complete(long askedAt) => (_since, _pause, _isRequested, IsDue) = (askedAt, Interval, false, false);

    /// <summary>Notes that the requested list failed: it is due again later.</summary>
    internal void Postpone(TimeSpan? retryAfter)
    {
        var pause = RetryPauses.LimitRetryAfter(retryAfter) ?? FailedPause;
        (_since, _pause, IsDue) = (time.GetTimestamp(), pause * (1 + Random.Shared.NextDouble()), false);
    }

    private TimeSpan UntilAllowed()
    {
        var rest = _pause - time.GetElapsedTime(_since);
        return rest.Ticks > 0 ? rest : TimeSpan.Zero;
    }
}
