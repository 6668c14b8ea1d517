using System.Collections.Concurrent;

namespace Exporter.Health;

/// <summary>What a start still waits for. Once there, it stays: what is lost later is told by metrics, and needs no other exporter.</summary>
internal sealed class Readiness
{
    private readonly ConcurrentDictionary<string, string> _missing = new();

    /// <summary>Why it is not ready; empty where it is.</summary>
    internal IReadOnlyList<string> Reasons => [.. _missing.OrderBy(missing => missing.Key, StringComparer.Ordinal).Select(missing => missing.Value)];

    internal void WaitFor(string what, string reason) => _missing[what] = reason;

    internal void Has(string what) => _missing.TryRemove(what, out _);
}
