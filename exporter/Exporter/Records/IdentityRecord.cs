namespace Exporter.Records;

/// <summary>The announcement of a local pod's address.</summary>
internal sealed class IdentityRecord
{
    /// <summary>A first announcement's is <see cref="From"/>, a later one's the time of the reading.</summary>
    internal DateTimeOffset Timestamp { get; set; }

    internal FlowAddress Address { get; set; }

    /// <summary>When the pod's interface had the address.</summary>
    internal DateTimeOffset From { get; set; }

    /// <summary>Null: not known, which no announcement should have.</summary>
    internal RecordEnd? Pod { get; set; }

    /// <summary>The pod's UID at the API server; empty: not known.</summary>
    internal string PodUid { get; set; } = "";
}
