using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>Which flows have no record because the options, or the annotation of their pod, want none.</summary>
internal sealed class FlowFilter(FlowCriteria include, FlowCriteria exclude)
{
    private readonly bool _hasCriteria = !include.IsEmpty || !exclude.IsEmpty;

    /// <param name="local">The name of the observer's pod; null: it is not known.</param>
    internal bool IsFiltered(in FlowObservation flow, RecordEnd? local) =>
        flow.Owner.Pod is { IsWithoutFlows: true }
        || (_hasCriteria && (!include.MatchesAll(flow.Key, local, flow.Remote) || exclude.MatchesAny(flow.Key, local, flow.Remote)));
}
