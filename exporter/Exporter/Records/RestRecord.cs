namespace Exporter.Records;

/// <summary>Traffic of an interface in an interval that is in no flow record. Its start and end are the interval's. Filled, written and reused.</summary>
internal sealed class RestRecord
{
    /// <summary>The number of the record in its interval, from 0.</summary>
    internal long Sequence { get; set; }

    internal RestReason Reason { get; set; }

    internal RestDirection Direction { get; set; }

    internal ulong Bytes { get; set; }

    internal ulong Packets { get; set; }

    /// <summary>The pod of the interface: the source of transmitted traffic, the destination of received traffic. Null: not known.</summary>
    internal RecordEnd? Pod { get; set; }

    /// <summary>The name of the interface that was counted.</summary>
    internal string InterfaceName { get; set; } = "";

    /// <summary>The generation of the interface that was counted.</summary>
    internal long Generation { get; set; }
}
