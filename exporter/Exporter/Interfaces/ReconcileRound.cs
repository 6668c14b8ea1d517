namespace Exporter.Interfaces;

/// <summary>Runs the steps of each round: a step that fails is logged once and does not keep the others from being done.</summary>
internal sealed partial class ReconcileRound(ILogger logger)
{
    /// <summary>How long one part of a round may work on a backlog before everything else has its turn.</summary>
    internal static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(100);

    /// <summary>Whether a step of this round has failed.</summary>
    internal bool HasFailed { get; private set; }

    internal void Begin() => HasFailed = false;

    /// <summary>Returns whether the step has run to its end.</summary>
    internal bool Try(ReconcileStep step, Action action)
    {
        var wasFailing = step.IsFailing;
        var isDone = step.Try(action, failure =>
        {
            HasFailed = true;
            if (!wasFailing)
            {
                LogFailing(logger, step.Name, failure.Message);
            }
        });
        if (isDone && wasFailing)
        {
            LogRecovered(logger, step.Name);
        }
        return isDone;
    }

    [LoggerMessage(6, LogLevel.Error, "Reconciling interfaces failed ({Step}), retrying: {Reason}")]
    private static partial void LogFailing(ILogger logger, string step, string reason);

    [LoggerMessage(15, LogLevel.Information, "Reconciling interfaces works again ({Step})")]
    private static partial void LogRecovered(ILogger logger, string step);
}
