using Exporter.Pods;

namespace Exporter.Accounts;

/// <summary>Blocks of one signal that are shown at one level.</summary>
/// <param name="Level">What their series stand for; null: they are not shown.</param>
/// <param name="HasTotals">Whether the signal's counts at this level are those that the totals count: then all of them add up.</param>
/// <param name="IsOfHost">Whether the host has them, too.</param>
internal sealed record ColumnGroup(SeriesLevel? Level, bool HasTotals, bool IsOfHost, IReadOnlyList<Block> Blocks)
{
    /// <summary>How many accounts at this level have room for every block, whatever comes: of pods the account of all others.</summary>
    internal int Reserved { get; init; } = 1;
}
