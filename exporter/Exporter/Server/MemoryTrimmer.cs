using Exporter.Bpf;

namespace Exporter.Server;

/// <summary>Returns memory to the system after connections beyond a socket had to be closed, once a sweep passes without such closes.</summary>
internal sealed class MemoryTrimmer
{
    private long _closed;

    /// <summary>Values of <see cref="_closed"/> at the last sweep, and at the last sweep that returned memory.</summary>
    private long _closedBefore;
    private long _closedAtTrim;

    /// <summary>Counts a close. Called by any thread.</summary>
    internal void CountClose() => Interlocked.Increment(ref _closed);

    /// <summary>Called once for each sweep.</summary>
    internal void TrimIfQuiet()
    {
        var closed = Interlocked.Read(ref _closed);
        if (closed == _closedBefore && closed != _closedAtTrim)
        {
            _closedAtTrim = closed;
            // Memory that finalizers free is returned as well.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
            NativeHeap.Trim();
        }
        _closedBefore = closed;
    }
}
