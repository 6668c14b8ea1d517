using Exporter.Bpf;

namespace Exporter.Pods;

/// <summary>The account that a pod's counts are added to. Used by the drain alone.</summary>
internal interface IPodAccount
{
    /// <summary>Whether a part of it is counted under <c>__other__</c>. May be asked by any thread.</summary>
    bool IsFolded { get; }

    /// <summary>Adds a row of a signal. Callers hold the ledger's lock.</summary>
    void Add(RowFields fields, ReadOnlySpan<ulong> row);
}
