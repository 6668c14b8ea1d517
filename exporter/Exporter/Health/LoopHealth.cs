using System.Collections.Concurrent;

namespace Exporter.Health;

/// <summary>Detects loops that hang. Each loop reports every round, with the latest time of its next report.</summary>
internal sealed class LoopHealth(TimeProvider time)
{
    private readonly ConcurrentDictionary<string, (long At, TimeSpan Within)> _beats = new();

    internal void Beat(string loop, TimeSpan within) => _beats[loop] = (time.GetTimestamp(), within);

    /// <summary>The loop has ended: no report of it is due.</summary>
    internal void End(string loop) => _beats.TryRemove(loop, out _);

    /// <summary>The loops that are overdue; empty is healthy.</summary>
    internal IReadOnlyList<string> Stuck() =>
        [.. _beats.Where(beat => time.GetElapsedTime(beat.Value.At) > beat.Value.Within).Select(beat => beat.Key).Order(StringComparer.Ordinal)];
}
