using System.Collections.Concurrent;
using Prometheus;

namespace Exporter.Health;

/// <summary>
/// The conditions that a start waits for. A condition that was met once stays met: metrics show later losses, which a restart would not mend.
/// </summary>
/// <param name="gauge">Shows whether the exporter is ready; null: without a metric.</param>
internal sealed class Readiness(Gauge? gauge = null)
{
    /// <summary>The reason of each condition that is not met; null: it was met once.</summary>
    private readonly ConcurrentDictionary<string, string?> _missing = new();

    /// <summary>Why the exporter is not ready; empty if it is.</summary>
    internal IReadOnlyList<string> Reasons => [.. _missing.OrderBy(missing => missing.Key, StringComparer.Ordinal).Select(missing => missing.Value).OfType<string>()];

    /// <summary>Notes a condition that is not met. Does nothing if it was met once: loops start again when options change.</summary>
    internal void WaitFor(string what, string reason)
    {
        _missing.AddOrUpdate(what, reason, (_, current) => current is null ? null : reason);
        Show();
    }

    /// <summary>Notes that a condition is met.</summary>
    internal void MarkReady(string what)
    {
        _missing[what] = null;
        Show();
    }

    private void Show() => gauge?.Set(Reasons.Count == 0 ? 1 : 0);
}
