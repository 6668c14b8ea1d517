namespace Exporter.Accounts;

/// <summary>One of the totals beside the pods' series.</summary>
/// <param name="Name">The name of the total, as the families' names have it.</param>
/// <param name="Which">Which counts it has, as the end of a sentence; null: each signal says it.</param>
/// <param name="IsOfRetired">Whether it has the counts of series that were removed.</param>
internal sealed record TotalDefinition(string Name, string? Which, string? Details = null, bool IsOfRetired = false)
{
    /// <summary>The families that it has of a signal.</summary>
    internal IEnumerable<TotalUnit> UnitsOf(SignalTotals signal) => signal.Units.Where(unit => IsOfRetired || !unit.IsOfRetiredOnly);
}
