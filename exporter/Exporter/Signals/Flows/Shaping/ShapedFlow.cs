using Exporter.Records;
using EventId = Exporter.Records.EventId;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>A flow, or a group of flows, that may have a record.</summary>
internal struct ShapedFlow
{
    /// <summary>The number of the flow in its interval, or of the first one of the group.</summary>
    internal int First;

    internal FlowGroup Group;

    /// <summary>The number of the group's sums; less than 0: it is one flow.</summary>
    internal int Sums;

    /// <summary>Of a group; a flow's is made when it is needed.</summary>
    internal EventId Id;

    /// <summary>The number of its pod in the interval.</summary>
    internal int Pod;

    /// <summary>Of both ends.</summary>
    internal ulong Bytes;

    internal bool HasPackets;

    /// <summary>Whether no connection of it came about.</summary>
    internal bool IsFailure;

    /// <summary>Whether it was added to another one, which has the record.</summary>
    internal bool IsPart;

    /// <summary>With which it was kept.</summary>
    internal double Probability;

    internal readonly bool IsGroup => Sums >= 0;

    internal readonly bool IsFolded => Group is FlowGroup.Ports or FlowGroup.Hosts or FlowGroup.Sources;

    /// <summary>Whether it may be sampled.</summary>
    internal readonly bool IsSampled => HasPackets && !IsPart && !IsFolded;
}
