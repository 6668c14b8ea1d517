using Exporter.Bpf.Native;
using Exporter.Health;

namespace Exporter.Interfaces;

/// <summary>One part of each round of the reconciler. One that fails waits ever longer before it is tried again, and leaves the others alone.</summary>
internal sealed class ReconcileStep(string name, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly Retry _retry = new(FirstPause, LongestPause, time);

    /// <summary>The name of the step, for the log.</summary>
    internal string Name => name;

    internal bool IsFailing { get; private set; }

    /// <summary>Runs it if it is due. Returns whether it has run to its end.</summary>
    /// <param name="failed">Called with the failure.</param>
    internal bool Try(Action action, Action<Exception> failed)
    {
        if (!_retry.IsDue)
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
            IsFailing = true;
            _retry.Later();
            return false;
        }
        IsFailing = false;
        _retry.Reset();
        return true;
    }
}
