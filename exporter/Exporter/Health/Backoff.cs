namespace Exporter.Health;

/// <summary>Pauses that double up to a limit.</summary>
internal sealed class Backoff(TimeSpan first, TimeSpan longest)
{
    private TimeSpan? _next;

    internal TimeSpan Next()
    {
        var pause = _next ?? first;
        _next = pause * 2 > longest ? longest : pause * 2;
        return pause;
    }

    /// <summary>The next pause, or up to half less: others may have failed at the same moment.</summary>
    internal TimeSpan NextAtRandom() => Next() * (1 - (Random.Shared.NextDouble() / 2));

    internal void Reset() => _next = null;
}
