namespace Exporter.Accounts;

/// <summary>One of the totals beside the pods' series.</summary>
/// <param name="Name">The name of the total, as the families' names have it.</param>
/// <param name="Which">Which counts it has, as the end of a sentence; null: each signal says it.</param>
internal sealed record TotalDefinition(string Name, string? Which, string? Details = null);
