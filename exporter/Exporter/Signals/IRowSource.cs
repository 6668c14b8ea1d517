using Exporter.Bpf;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>Reads the rows that the kernel counted. The seam that the maps are behind. Used by one thread at a time.</summary>
internal interface IRowSource<TKey, TValue>
{
    /// <summary>The rows that were counted since the last call that was followed by <see cref="Release"/>; valid until the next.</summary>
    /// <exception cref="BpfException">They could not be read; nothing is lost, the next call tries again.</exception>
    ReadOnlySpan<DrainedRow<TKey, TValue>> Read(out RowsRead read);

    /// <summary>The rows are committed, and stay in the kernel until <see cref="Release"/> or the next <see cref="Read"/>.</summary>
    void Keep();

    /// <summary>The rows are committed, and are removed from the kernel.</summary>
    /// <exception cref="BpfException">Some are still there; the next <see cref="Read"/> removes them.</exception>
    void Release();

    /// <summary>No program of a previous process counts any more: its maps are read once more, and then removed. May be called by any thread.</summary>
    void EndPrevious();
}

/// <summary>Which rows were read.</summary>
/// <param name="Map">To be committed with them; null: the source knows by records of its own which rows are committed.</param>
/// <param name="IsPrevious">Whether a previous process had them counted with other settings.</param>
/// <param name="IsCommitted">Whether a previous process has committed them: they are credited to no account again.</param>
/// <param name="IsLast">Whether these are all; else another call follows.</param>
internal readonly record struct RowsRead(CommittedMap? Map, bool IsPrevious, bool IsCommitted, bool IsLast);
