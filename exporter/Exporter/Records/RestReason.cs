namespace Exporter.Records;

/// <summary>Why traffic is in no flow record.</summary>
internal enum RestReason : byte
{
    /// <summary>The flow map had no room.</summary>
    MapFull,

    /// <summary>The flow map was busy.</summary>
    MapBusy,

    /// <summary>The flow map refused the flow for another reason.</summary>
    MapError,

    /// <summary>The pod had as many flows as it may have.</summary>
    PodFull,

    /// <summary>The hash of its tuple was not among the chosen ones.</summary>
    Sampled,

    /// <summary>Neither IPv4 nor IPv6.</summary>
    NotIp,

    /// <summary>Threshold sampling did not choose the flow.</summary>
    Merged,

    /// <summary>A filter excluded the flow.</summary>
    Filtered,

    /// <summary>No flow is recorded on its own (Flows:Aggregate=none).</summary>
    Aggregated,

    /// <summary>The sinks were too slow.</summary>
    Backpressure,

    /// <summary>The row is from a version with another layout.</summary>
    PreviousLayout,
}
