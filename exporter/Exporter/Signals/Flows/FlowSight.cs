using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>The part of a flow's record that its row alone does not show.</summary>
/// <param name="IsLocalSource">Whether the observer's pod began.</param>
/// <param name="State">Null for all but TCP.</param>
/// <param name="EndReason">Null: it did not end in the interval.</param>
/// <param name="Connections">Connections that began in the interval.</param>
/// <param name="Start">The first packet of the connection; null: not known.</param>
/// <param name="Retransmits">Of the interval; null: not known.</param>
internal readonly record struct FlowSight(
    bool IsLocalSource, FlowOrientation Orientation, FlowState? State, FlowEndReason? EndReason, uint Connections, DateTimeOffset? Start, uint? Retransmits)
{
    /// <summary>Whether the connection did not come about, or not yet: a scan consists of these.</summary>
    internal bool IsFailure => State is FlowState.Opening or FlowState.Unanswered or FlowState.Refused or FlowState.HalfOpen;
}
