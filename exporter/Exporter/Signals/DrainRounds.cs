using Exporter.Bpf;

namespace Exporter.Signals;

/// <summary>The drains of all signals, each with numbers and a clock of its own.</summary>
internal sealed class DrainRounds(IReadOnlyList<SignalDrain> drains)
{
    internal IReadOnlyList<SignalDrain> Drains => drains;

    /// <summary>The drains that have begun until now.</summary>
    internal DrainMark Now => new([.. drains.Select(drain => drain.Started)]);

    /// <summary>Whether later drains of every signal have ended: nothing that was counted before the mark is on its way, or would be read again by another process.</summary>
    internal bool HasPassed(DrainMark mark) => HasPassed(mark, byInterface: false);

    /// <summary>The same of the signals that count by interface: nothing is in their maps that was counted before the mark.</summary>
    internal bool HasPassedByInterface(DrainMark mark) => HasPassed(mark, byInterface: true);

    /// <summary>
    /// Drains the signals that count by interface, unless drains that began after the mark have ended. Waits for the kernel alone, since new interfaces wait for the
    /// caller. Returns whether such drains have ended.
    /// </summary>
    internal bool TryDrainAfter(DrainMark mark)
    {
        for (var i = 0; i < drains.Count; i++)
        {
            if (!drains[i].IsByInterface)
            {
                continue;
            }
            try
            {
                // A drain that resumes one that failed has not begun after the mark.
                for (var attempt = 0; attempt < 2 && drains[i].Completed <= mark[i]; attempt++)
                {
                    drains[i].Drain(hurries: true);
                }
            }
            catch (BpfException)
            {
                // The drain loop reports it, and the interface's turn comes again.
            }
        }
        return HasPassedByInterface(mark);
    }

    private bool HasPassed(DrainMark mark, bool byInterface)
    {
        for (var i = 0; i < drains.Count; i++)
        {
            if ((drains[i].IsByInterface || !byInterface) && drains[i].Completed <= mark[i] + (drains[i].KeepsRows && !byInterface ? 1 : 0))
            {
                return false;
            }
        }
        return true;
    }
}

/// <summary>For each signal how many drains had begun at some moment; the default is before the first.</summary>
internal readonly struct DrainMark(long[] started)
{
    internal long this[int signal] => started is null ? 0 : started[signal];
}
