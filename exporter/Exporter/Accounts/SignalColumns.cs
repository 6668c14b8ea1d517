using Exporter.Bpf;

namespace Exporter.Accounts;

/// <summary>What the rows of a signal are shown as.</summary>
internal sealed record SignalColumns(RowFields Fields, IReadOnlyList<ColumnGroup> Groups);
