using Exporter.Bpf.Native;
using Exporter.Health;

namespace Exporter.Interfaces;

/// <summary>One part of each round of the reconciler. One that fails waits ever longer before it is tried again, and leaves the others alone.</summary>
internal sealed class ReconcileStep(string name, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly Backoff _pauses = new(FirstPause, LongestPause);
    private TimeSpan _pause;
    private long _failedAt;

    /// <summary>The name of the step, for the log.</summary>
    internal string Name => name;

    internal bool IsFailing { get; private set; }

    /// <summary>Runs it if it is due. Returns whether it has run to its end.</summary>
    /// <param name="failed">Called with the failure.</param>
    internal bool Try(Action action, Action<Exception> failed)
    {
        if (IsFailing && time.GetElapsedTime(_failedAt) < _pause)
        {
            return false;
        }
        try
        {
            action();
        }
        catch (KernelException e)
        {
            failed(e);
            (IsFailing, _failedAt, _pause) = (true, time.GetTimestamp(), _pauses.Next());
            return false;
        }
        IsFailing = false;
        _pauses.Reset();
        return true;
    }
}
