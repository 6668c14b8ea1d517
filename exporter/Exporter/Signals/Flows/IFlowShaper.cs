using Exporter.Bpf;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// Decides which flows of an interval become which records. Of the same rows, the same options and the same header of an interval it always makes the same
/// records. Used by the drain alone; one for each session.
/// </summary>
internal interface IFlowShaper
{
    /// <summary>Of the options that shape records, and of their schema.</summary>
    ulong Digest { get; }

    /// <summary>No identities are written with a policy other than full.</summary>
    AddressPolicy Addresses { get; }

    /// <summary>The fields that records have.</summary>
    IReadOnlyList<RecordField> Fields { get; }

    /// <summary>The most records of an interval, for its header; 0: all its traffic is rest.</summary>
    /// <param name="elapsed">How long the interval was.</param>
    /// <param name="pressure">As <see cref="Exporter.Export.ExportRing.Pressure"/>.</param>
    long FindBudget(TimeSpan elapsed, double pressure);

    /// <summary>Shapes an interval. The flows that get no record are added to its rests.</summary>
    /// <param name="rows">As they were read; flows have their numbers.</param>
    /// <returns>The number of flow records.</returns>
    int Shape(FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, FlowRecordMaker maker);

    /// <summary>Makes a record of the interval that was shaped last. It has its whole addresses, and is valid until the next call.</summary>
    /// <param name="number">From 0.</param>
    FlowRecord Make(int number, FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, FlowRecordMaker maker);

    /// <summary>Cuts or clears the addresses of a record.</summary>
    void Hide(FlowRecord record);
}
