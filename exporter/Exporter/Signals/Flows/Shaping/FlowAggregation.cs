namespace Exporter.Signals.Flows.Shaping;

/// <summary>Which flows are one record.</summary>
internal enum FlowAggregation : byte
{
    /// <summary>Each flow has its own.</summary>
    Connection,

    /// <summary>Flows that differ in the source's port alone.</summary>
    ServicePort,

    /// <summary>Flows between two ends of the same names.</summary>
    Workload,

    /// <summary>There is no flow record: all traffic is rest.</summary>
    None,
}
