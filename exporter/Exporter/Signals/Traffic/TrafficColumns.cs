using Exporter.Accounts;
using Exporter.Metrics;
using Exporter.Pods;
using static Exporter.Metrics.MetricType;

namespace Exporter.Signals.Traffic;

/// <summary>The families of traffic that pods have series of.</summary>
internal static class TrafficColumns
{
    private const string PacketSizesBlock = "packet_sizes";

    /// <summary>One for each bound, and one above.</summary>
    private static readonly int SizeRanges = TrafficSize.Bounds.Length + 1;

    /// <summary>As OpenTelemetry's network.transport has it, by <see cref="Traffic.Transport"/>.</summary>
    private static readonly MetricLabel Transport = new("transport", "tcp", "udp", "icmp", "sctp", "other");

    private static readonly MetricDefinition TransmitBytes = Define("transmit", "bytes", "Bytes sent by the pod, Ethernet headers included, as its interface counts them.") with
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_transmit_bytes_total[5m])))",
        Details = "Equals RX of `ip -s link` on the host's end of the pair.",
    };

    private static readonly MetricDefinition TransmitPackets =
        Define("transmit", "packets", "Packets sent by the pod as its interface counts them: one may stand for many on the wire.") with
        {
            Query = "sum by (transport) (rate(podnet_transmit_packets_total[5m]))",
        };

    private static readonly MetricDefinition TransmitSegments = Define("transmit", "segments", "Packets sent by the pod as the wire would carry them.") with
    {
        Query = "sum by (namespace, pod) (rate(podnet_transmit_segments_total[5m])) / sum by (namespace, pod) (rate(podnet_transmit_packets_total[5m]))",
    };

    private static readonly MetricDefinition ReceiveBytes = Define("receive", "bytes", "Bytes delivered to the pod, Ethernet headers included, as its interface counts them.") with
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_receive_bytes_total[5m])))",
        Details = "Equals TX of `ip -s link` on the host's end of the pair.",
    };

    private static readonly MetricDefinition ReceivePackets =
        Define("receive", "packets", "Packets delivered to the pod as its interface counts them: one may stand for many on the wire.") with
        {
            Query = "sum by (transport) (rate(podnet_receive_packets_total[5m]))",
        };

    private static readonly MetricDefinition ReceiveSegments = Define("receive", "segments", "Packets delivered to the pod as the wire would carry them.") with
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_receive_segments_total[5m])))",
    };

    private static readonly MetricDefinition PacketSizes = new(
        Histogram, "podnet_packet_size_bytes", "bytes", "Lengths of packets as the wire would carry them, Ethernet header included.", SharedLabels.Direction)
    {
        Bounds = [.. TrafficSize.Bounds.ToArray().Select(bound => (double)bound)],
        Query = "histogram_quantile(0.5, sum by (le, namespace, pod) (rate(podnet_packet_size_bytes_bucket{direction=\"transmit\"}[5m])))",
        Details = "Buckets, sum and count are exact.",
    };

    private static readonly (string Direction, string Unit, MetricDefinition Family)[] Counts =
    [
        (SharedLabels.TransmitDirection, "bytes", TransmitBytes),
        (SharedLabels.ReceiveDirection, "bytes", ReceiveBytes),
        (SharedLabels.TransmitDirection, "packets", TransmitPackets),
        (SharedLabels.ReceiveDirection, "packets", ReceivePackets),
    ];

    private static readonly (string Direction, string Unit, MetricDefinition Family)[] Segments =
    [
        (SharedLabels.TransmitDirection, "segments", TransmitSegments),
        (SharedLabels.ReceiveDirection, "segments", ReceiveSegments),
    ];

    internal static SignalTotals Totals { get; } = new(
        TrafficValue.Fields,
        [
            new("packets", "Packets counted {0}.", SharedLabels.Direction, IsByLabel: false, direction => SumOf(direction, "packets")),
            new("bytes", "The bytes of the {1} packets.", SharedLabels.Direction, IsByLabel: true, direction => SumOf(direction, "bytes")),
        ],
        [.. Transport.Values, PacketSizesBlock],
        "on an interface whose pod was not identified in time",
        "In time is within `Identity:HoldFor`.");

    /// <summary>A block for each transport, and one for the sizes of packets.</summary>
    /// <param name="aggregation">The level of bytes and packets.</param>
    /// <param name="segments">Null: not shown.</param>
    /// <param name="packetSizes">Null: not shown.</param>
    internal static SignalColumns Create(SeriesLevel aggregation, SeriesLevel? segments, SeriesLevel? packetSizes)
    {
        var hasSameLevel = segments == aggregation;
        return new(
            TrafficValue.Fields,
            [
                new(aggregation, HasTotals: true, IsOfHost: false, Transports("bytes", hasSameLevel ? [.. Counts, .. Segments] : Counts)),
                new(hasSameLevel ? null : segments, HasTotals: false, IsOfHost: false, Transports("segments", Segments)),
                new(packetSizes, HasTotals: false, IsOfHost: false,
                [
                    new(
                        PacketSizesBlock,
                        [.. from direction in SharedLabels.Direction.Values from range in Enumerable.Range(0, SizeRanges) select FirstSizeOf(direction) + (2 * range) + 1],
                        [.. SharedLabels.Direction.Values.Select(Sizes)]),
                ]),
            ]);
    }

    /// <param name="weight">The unit whose sum both ways is the block's weight.</param>
    /// <param name="counters">The unit and family of each direction's counter.</param>
    private static Block[] Transports(string weight, (string Direction, string Unit, MetricDefinition Family)[] counters) =>
    [
        .. Transport.Values.Select(transport => new Block(
            transport,
            [.. SharedLabels.Direction.Values.Select(direction => FieldOf($"{direction}.{transport}.{weight}"))],
            [.. counters.Select(counter => new FieldColumn(counter.Family, FieldOf($"{counter.Direction}.{transport}.{counter.Unit}"), transport))])),
    ];

    private static RangesColumn Sizes(string direction) =>
        new(PacketSizes, FirstSizeOf(direction), SizeRanges, [.. TrafficSize.Bounds.ToArray().Select(bound => (ulong)bound)], decimals: 0, direction);

    private static int FirstSizeOf(string direction) => FieldOf($"{direction}.{TrafficSize.Bounds[0]}.segments");

    private static int[] SumOf(string direction, string unit) => [.. Transport.Values.Select(transport => FieldOf($"{direction}.{transport}.{unit}"))];

    private static int FieldOf(string name) => TrafficValue.Fields.IndexOf(name);

    private static MetricDefinition Define(string direction, string unit, string help) =>
        new(Counter, $"podnet_{direction}_{unit}_total", unit, help, Transport) { Query = "" };
}
