namespace Exporter.Edges;

/// <summary>The owner of an edge: one end is its pods, the other end is the peer. The numbers are in ledgers.</summary>
internal enum EdgeLevel
{
    /// <summary>There are no series of edges.</summary>
    Off,
    Workload,
    Namespace,
}
