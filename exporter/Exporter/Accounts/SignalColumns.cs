using Exporter.Bpf;

namespace Exporter.Accounts;

/// <summary>What the rows of a signal are shown as.</summary>
/// <param name="Weight">What counts, of a row without an account of its own, when room comes free: those with the most go first. Null: nothing.</param>
internal sealed record SignalColumns(RowFields Fields, IReadOnlyList<ColumnGroup> Groups, Func<ReadOnlySpan<ulong>, ulong>? Weight = null);
