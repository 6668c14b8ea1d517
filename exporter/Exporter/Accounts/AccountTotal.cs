using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>
/// A family about all accounts together. An exposition writes it with the pods' families, from the same commit: counts that have left the series of a pod are in
/// a total of the same scrape.
/// </summary>
/// <param name="Samples">The values of the family's labels, and a function that reads the number, with the ledger's lock.</param>
internal sealed record AccountTotal(MetricDefinition Family, IReadOnlyList<(IReadOnlyList<string> Labels, Func<ulong> Read)> Samples);
