using Exporter.Bpf;

namespace Exporter.Accounts;

/// <summary>The columns that show a signal's rows.</summary>
internal sealed record SignalColumns(RowFields Fields, IReadOnlyList<ColumnGroup> Groups);
