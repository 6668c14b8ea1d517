using Exporter.Pods;
using Exporter.Signals;

namespace Exporter.Interfaces;

/// <summary>
/// Compares the counts with the interfaces' own counters from time to time: programs that another process removed are attached again, and interfaces whose
/// packets do not reach the programs are shown as shadowed. For the reconciler alone.
/// </summary>
/// <param name="beat">Called when one took long.</param>
internal sealed partial class Coverage(InterfaceContext context, Attachments attachments, Action beat, ILogger logger)
{
    private readonly CoverageCheck _check = new();
    private long _checkedAt = context.Time.GetTimestamp();
    private DrainMark _mark;

    /// <summary>Whether the interval is over, and a drain has ended that began after the last check.</summary>
    internal bool TryBegin()
    {
        if (context.Time.GetElapsedTime(_checkedAt) < context.Options.CoverageInterval || !context.Rounds.HasPassedByInterface(_mark))
        {
            return false;
        }
        (_checkedAt, _mark) = (context.Time.GetTimestamp(), context.Rounds.Now);
        return true;
    }

    internal void Check()
    {
        var uncovered = _check.FindUncovered(context.Client.GetStatistics(), context.Table.Current);
        foreach (var attachment in attachments.Prepared.ToList())
        {
            var (ifindex, name) = (attachment.Owner.Ifindex, attachment.Owner.Name);
            switch (attachment.State)
            {
                case InterfaceState.Attached or InterfaceState.Shadowed when uncovered.Contains(ifindex) && !context.Attacher.IsAttached(ifindex):
                    context.Metrics.CountAttachError("removed");
                    LogRemoved(logger, name);
                    attachments.Reattach(attachment);
                    beat();
                    break;
                case InterfaceState.Attached when uncovered.Contains(ifindex):
                    LogShadowed(logger, name);
                    attachment.State = InterfaceState.Shadowed;
                    break;
                case InterfaceState.Shadowed when !uncovered.Contains(ifindex):
                    LogCovered(logger, name);
                    attachment.State = InterfaceState.Attached;
                    break;
            }
        }
    }

    [LoggerMessage(3, LogLevel.Warning, "Another process removed the programs on {Interface}, attaching them again")]
    private static partial void LogRemoved(ILogger logger, string @interface);

    [LoggerMessage(4, LogLevel.Warning, "{Interface} carries packets that do not reach the exporter's programs, as when another program ends the chain before them")]
    private static partial void LogShadowed(ILogger logger, string @interface);

    [LoggerMessage(5, LogLevel.Information, "{Interface}'s packets reach the exporter's programs again")]
    private static partial void LogCovered(ILogger logger, string @interface);
}
