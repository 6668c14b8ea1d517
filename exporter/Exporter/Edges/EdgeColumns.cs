using Exporter.Accounts;
using Exporter.Metrics;
using Exporter.Pods;
using static Exporter.Metrics.MetricType;

namespace Exporter.Edges;

/// <summary>The families of edges, and the totals of edges that were removed.</summary>
internal static class EdgeColumns
{
    private const int NanosecondDecimals = 9;

    /// <summary>The number of the block that an edge to __unrecorded__ has, too.</summary>
    private const int TrafficBlock = 0;

    private static readonly MetricDefinition TransmitBytes = Define(
        SharedLabels.TransmitDirection, "bytes", "Bytes sent by the pods to the peer, Ethernet headers included, as their interfaces count them.",
        "sum by (namespace, workload, peer) (rate(podnet_edge_transmit_bytes_total[5m])) * 8",
        "All edges of a workload together are the traffic of its pods' interfaces: `peer=\"__other__\"` has peers that have no series of their own, `peer=\"__unrecorded__\"` has traffic that is in no flow.");

    private static readonly MetricDefinition ReceiveBytes = Define(
        SharedLabels.ReceiveDirection, "bytes", "Bytes delivered to the pods from the peer, Ethernet headers included, as their interfaces count them.",
        "topk(10, sum by (namespace, workload, peer) (rate(podnet_edge_receive_bytes_total[5m]))) * 8", null);

    private static readonly MetricDefinition TransmitPackets = Define(
        SharedLabels.TransmitDirection, "packets", "Packets sent by the pods to the peer as their interfaces count them: one may stand for many on the wire.",
        "sum by (namespace, workload, peer) (rate(podnet_edge_transmit_packets_total[5m]))", null);

    private static readonly MetricDefinition ReceivePackets = Define(
        SharedLabels.ReceiveDirection, "packets", "Packets delivered to the pods from the peer as their interfaces count them: one may stand for many on the wire.",
        "sum by (namespace, workload, peer) (rate(podnet_edge_receive_packets_total[5m]))", null);

    private static readonly MetricDefinition Connections = new(
        Counter, "podnet_edge_connections_total", "connections", "Connections between the pods and the peer that have begun, by the pods' role.", SharedLabels.Role)
    {
        Query = "sum by (namespace, workload, peer) (rate(podnet_edge_connections_total{role=\"client\"}[5m]))",
        Details = "A connection begins with a SYN, or with a packet after 60 s without any. Connections to `__unrecorded__` are not known.",
    };

    private static readonly MetricDefinition Rtt = new(
        Summary, "podnet_edge_tcp_rtt_seconds", "seconds", "Smoothed round-trip times of the TCP connections between the pods and the peer, one for each connection and interval that has one.")
    {
        Query = "sum by (namespace, workload, peer) (rate(podnet_edge_tcp_rtt_seconds_sum[5m])) / sum by (namespace, workload, peer) (rate(podnet_edge_tcp_rtt_seconds_count[5m]))",
        Details = "Without quantiles: the mean is the sum by the count.",
    };

    private static readonly string[] PeerLabels = ["peer_kind", "peer_namespace", "peer"];

    /// <summary>The units of the total of removed series. An edge is in no other total: nothing else can be without a series.</summary>
    internal static SignalTotals Totals { get; } = new(
        EdgeRow.Fields,
        [
            new("edge_packets", "Packets of edges counted {0}.", SharedLabels.Direction, IsByLabel: false, direction => [EdgeRow.FieldOf(direction, "packets")]) { IsOfRetiredOnly = true },
            new("edge_bytes", "The bytes of the {1} packets of edges.", SharedLabels.Direction, IsByLabel: true, direction => [EdgeRow.FieldOf(direction, "bytes")]) { IsOfRetiredOnly = true },
            new("edge_connections", "The {1} connections of edges.", SharedLabels.Role, IsByLabel: false, role => [EdgeRow.FieldOf("connections", role)]) { IsOfRetiredOnly = true },
        ],
        Blocks: [],
        "of an edge that has no series");

    /// <summary>The names of the labels.</summary>
    internal static IReadOnlyList<string> LabelsAt(EdgeLevel level) => level == EdgeLevel.Workload
        ? [PodLabel.Namespace, PodLabel.Workload, PodLabel.WorkloadKind, .. PeerLabels]
        : [PodLabel.Namespace, .. PeerLabels];

    /// <summary>The values of the labels.</summary>
    internal static LabelValues ValuesAt(EdgeLevel level, in EdgeKey key) => level == EdgeLevel.Workload
        ? new(key.Namespace, key.Workload, key.WorkloadKind, key.PeerKind, key.PeerNamespace, key.Peer)
        : new(key.Namespace, key.PeerKind, key.PeerNamespace, key.Peer);

    /// <summary>The columns of an edge. It has both blocks; to __unrecorded__ it has the traffic alone.</summary>
    internal static LevelPlan PlanOf(EdgeLevel level)
    {
        var shown = level == EdgeLevel.Namespace ? SeriesLevel.Namespace : SeriesLevel.Workload;
        Block traffic = new("edge", [], [.. Counters()]);
        Block tcp = new("edge_connections", [], [.. SharedLabels.Role.Values.Select(role => new FieldColumn(Connections, EdgeRow.FieldOf("connections", role), role)), RttColumn()]);
        return new(shown, [new(EdgeRow.Fields, level == EdgeLevel.Off ? [] : [new(shown, HasTotals: true, IsOfHost: false, [traffic, tcp])])]);
    }

    /// <summary>The blocks that an edge has.</summary>
    internal static ulong BlocksOf(LevelPlan plan, bool isUnrecorded) => plan.AllBlocks & (isUnrecorded ? 1ul << TrafficBlock : ulong.MaxValue);

    private static IEnumerable<FieldColumn> Counters() =>
    [
        new(TransmitBytes, EdgeRow.FieldOf(SharedLabels.TransmitDirection, "bytes")),
        new(ReceiveBytes, EdgeRow.FieldOf(SharedLabels.ReceiveDirection, "bytes")),
        new(TransmitPackets, EdgeRow.FieldOf(SharedLabels.TransmitDirection, "packets")),
        new(ReceivePackets, EdgeRow.FieldOf(SharedLabels.ReceiveDirection, "packets")),
    ];

    private static SummaryColumn RttColumn() => new(Rtt, EdgeRow.FieldOf("rtt", "ns"), EdgeRow.FieldOf("rtt", "count"), NanosecondDecimals);

    private static MetricDefinition Define(string direction, string unit, string help, string query, string? details) =>
        new(Counter, $"podnet_edge_{direction}_{unit}_total", unit, help) { Query = query, Details = details };
}
