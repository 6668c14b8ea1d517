using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>A flow in one interval, before it becomes a record.</summary>
/// <param name="Owner">The interface that it was counted at.</param>
/// <param name="Row">The number of its row; -1: it had no packet.</param>
/// <param name="Remote">The names of the other end; null: it has none.</param>
internal readonly record struct FlowObservation(FlowKey Key, PodInterface Owner, int Row, FlowSight Sight, RecordEnd? Remote)
{
    internal bool HasPackets => Row >= 0;
}
