using Exporter.Bpf;
using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>The flows of an interval with their rows.</summary>
internal readonly ref struct FlowRows(FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, FlowRecordMaker maker)
{
    private readonly ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> _rows = rows;

    internal FlowInterval Interval { get; } = interval;

    internal FlowRecordMaker Maker { get; } = maker;

    /// <summary>All zero where the flow had no packet.</summary>
    internal FlowValue ValueOf(in FlowObservation flow) => flow.HasPackets ? _rows[flow.Row].Value : default;

    /// <summary>The record of one flow, as <see cref="FlowRecordMaker.Make(FlowInterval, in FlowObservation, in FlowValue)"/> makes it.</summary>
    internal FlowRecord Make(int number)
    {
        ref readonly var flow = ref Interval.Flows[number];
        return Maker.Make(Interval, flow, ValueOf(flow));
    }
}
