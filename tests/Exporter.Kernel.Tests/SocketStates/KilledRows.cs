using System.Diagnostics;
using Exporter.Bpf;
using Exporter.Pods;
using Exporter.Signals;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>Kills this process at one step of the first drain with rows that no process has committed.</summary>
internal sealed class KilledRows(IRowSource<SocketStatesKey, SocketStatesValue> rows, DrainStep step) : IRowSource<SocketStatesKey, SocketStatesValue>, IRowObserver
{
    private bool _hasRows;

    public ReadOnlySpan<DrainedRow<SocketStatesKey, SocketStatesValue>> Read(out RowsRead read)
    {
        var found = rows.Read(out read);
        // A previous process can have left rows of the machine's other sockets that it had committed.
        _hasRows = found.Length > 0 && !read.IsCommitted;
        KillAt(DrainStep.Read);
        return found;
    }

    /// <summary>The first observer.</summary>
    public void Observe(in DrainedRows drained, ReadOnlySpan<byte> key, PodInterface? owner, ReadOnlySpan<ulong> row) => KillAt(DrainStep.Committed);

    public void Keep()
    {
        rows.Keep();
        KillAt(DrainStep.Kept);
    }

    public void Release()
    {
        KillAt(DrainStep.Releasing);
        rows.Release();
        KillAt(DrainStep.Released);
    }

    public void EndPrevious() => rows.EndPrevious();

    private void KillAt(DrainStep reached)
    {
        if (_hasRows && reached == step)
        {
            Process.GetCurrentProcess().Kill();
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
