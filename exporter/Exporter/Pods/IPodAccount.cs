using Exporter.Bpf;

namespace Exporter.Pods;

/// <summary>The account that a pod's counts are added to. Used by the drain alone.</summary>
internal interface IPodAccount
{
    /// <summary>The kinds of its blocks of series that are counted under <c>__other__</c>. May be called by any thread.</summary>
    IReadOnlyList<string> FindFolded();

    /// <summary>Reads the committed counts of a signal that its series show. May be called by any thread.</summary>
    /// <param name="row">As long as the row; all zero where there are none.</param>
    void Read(RowFields fields, Span<ulong> row) => row.Clear();

    /// <summary>Adds a row of a signal. Callers hold the ledger's lock.</summary>
    void Add(RowFields fields, ReadOnlySpan<ulong> row);
}
