namespace Exporter.Health;

/// <summary>When something that failed is due again: after pauses that double up to a limit. Used by one thread.</summary>
internal sealed class Retry(TimeSpan first, TimeSpan longest, TimeProvider time)
{
    private readonly Backoff _pauses = new(first, longest);
    private TimeSpan _pause;
    private long _failedAt;

    /// <summary>Whether the pause after the last failure is over, or there was no failure.</summary>
    internal bool IsDue => time.GetElapsedTime(_failedAt) >= _pause;

    /// <summary>Notes a failure.</summary>
    internal void Later() => (_failedAt, _pause) = (time.GetTimestamp(), _pauses.Next());

    /// <summary>Notes a success: it is due at once, and the next pause is the first one again.</summary>
    internal void Reset()
    {
        _pause = default;
        _pauses.Reset();
    }
}
