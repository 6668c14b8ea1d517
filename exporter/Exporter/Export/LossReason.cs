namespace Exporter.Export;

/// <summary>Why a sink does not get records.</summary>
internal enum LossReason
{
    /// <summary>The memory was used up, and this sink was the slowest.</summary>
    Backpressure,

    /// <summary>The sink's other end does not accept the record.</summary>
    Rejected,

    /// <summary>The process ended, and the records are nowhere else.</summary>
    Shutdown,

    /// <summary>A process ended without a last word. An upper bound: the records may have arrived.</summary>
    Crash,

    /// <summary>The options that shape records changed before an interval was repeated.</summary>
    Changed,
}
