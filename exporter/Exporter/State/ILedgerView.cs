using Exporter.Bpf;

namespace Exporter.State;

/// <summary>Shows committed counts.</summary>
internal interface ILedgerView
{
    /// <summary>Called with the row that a commit has added, when it is in force.</summary>
    void Show(RowFields fields, ReadOnlySpan<ulong> row);

    /// <summary>Called at most once for each signal, before any <see cref="Show"/>, with the row that a previous process had committed.</summary>
    void Restore(RowFields fields, ReadOnlySpan<ulong> row);
}
