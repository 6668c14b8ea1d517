namespace Exporter.Records;

/// <summary>How it was decided which end of a flow is the source.</summary>
internal enum FlowOrientation : byte
{
    /// <summary>The source sent a SYN.</summary>
    Syn,

    /// <summary>The source sent the first packet.</summary>
    First,

    /// <summary>The flow is older than the process; the flow table kept its ends.</summary>
    Remembered,

    /// <summary>The destination is a known Service port.</summary>
    Service,

    /// <summary>The source has the higher port.</summary>
    Port,
}
