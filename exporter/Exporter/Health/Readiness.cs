using System.Collections.Concurrent;
using Prometheus;

namespace Exporter.Health;

/// <summary>What a start still waits for. Once there, it stays: what is lost later is told by metrics, and needs no other exporter.</summary>
/// <param name="gauge">Shows whether it is ready; null: nothing does.</param>
internal sealed class Readiness(Gauge? gauge = null)
{
    /// <summary>Null: it was there once.</summary>
    private readonly ConcurrentDictionary<string, string?> _missing = new();

    /// <summary>Why it is not ready; empty where it is.</summary>
    internal IReadOnlyList<string> Reasons => [.. _missing.OrderBy(missing => missing.Key, StringComparer.Ordinal).Select(missing => missing.Value).OfType<string>()];

    /// <summary>Does nothing if it was there once: loops start again when options change.</summary>
    internal void WaitFor(string what, string reason)
    {
        _missing.AddOrUpdate(what, reason, (_, current) => current is null ? null : reason);
        Show();
    }

    internal void Has(string what)
    {
        _missing[what] = null;
        Show();
    }

    private void Show() => gauge?.Set(Reasons.Count == 0 ? 1 : 0);
}
