namespace Exporter.Records;

/// <summary>Which flows are one record. Event ids contain the numbers.</summary>
internal enum FlowGroup : byte
{
    /// <summary>One flow.</summary>
    Connection = 0,

    /// <summary>Folded: one source to one destination, any port.</summary>
    Ports = 1,

    /// <summary>Folded: one source to one port of any destination.</summary>
    Hosts = 2,

    /// <summary>Folded: any source to one port of one destination.</summary>
    Sources = 3,

    /// <summary>Aggregated without the client's port.</summary>
    ServicePort = 4,

    /// <summary>Aggregated without addresses and ports of named ends.</summary>
    Workload = 5,
}
