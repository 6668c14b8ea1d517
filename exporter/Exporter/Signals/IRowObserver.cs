using Exporter.Bpf;
using Exporter.Pods;

namespace Exporter.Signals;

/// <summary>Is given each row of a signal after its commit, on the thread of the drain.</summary>
internal interface IRowObserver
{
    /// <param name="key">As the map has it.</param>
    /// <param name="owner">An interface of the pod that the row is of; null: it is not known.</param>
    /// <param name="row">Valid during the call.</param>
    void Observe(in DrainedRows drained, ReadOnlySpan<byte> key, PodInterface? owner, ReadOnlySpan<ulong> row);
}

/// <summary>The rows of one reading.</summary>
/// <param name="Signal">The counters of its rows.</param>
/// <param name="Drain">The number of the drain.</param>
/// <param name="ReadAt">When they were read.</param>
/// <param name="IsRepeated">Whether a previous process has committed them already, and was ended before it released them.</param>
internal readonly record struct DrainedRows(RowFields Signal, long Drain, DateTimeOffset ReadAt, bool IsRepeated);
