using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;
using static Exporter.Metrics.MetricType;

namespace Exporter.Signals.Traffic;

/// <summary>The families of traffic that pods have series of.</summary>
internal static class TrafficColumns
{
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

    internal static SignalTotals Totals { get; } = new(
        TrafficValue.Fields,
        [
            new("packets", "Packets counted {0}.", SharedLabels.Direction, IsByLabel: false, direction => SumOf(direction, "packets")),
            new("bytes", "The bytes of the {1} packets.", SharedLabels.Direction, IsByLabel: true, direction => SumOf(direction, "bytes")),
        ],
        "on an interface whose pod was not identified in time",
        "In time is within `Identity:HoldFor`.");

    /// <param name="aggregation">The level of bytes and packets.</param>
    /// <param name="segments">Null: not shown.</param>
    /// <param name="packetSizes">Null: not shown.</param>
    internal static SignalColumns Create(SeriesLevel aggregation, SeriesLevel? segments, SeriesLevel? packetSizes) => new(
        TrafficValue.Fields,
        [
            new(aggregation, HasTotals: true, IsOfHost: false,
            [
                .. Transports("transmit", "bytes", TransmitBytes),
                .. Transports("receive", "bytes", ReceiveBytes),
                .. Transports("transmit", "packets", TransmitPackets),
                .. Transports("receive", "packets", ReceivePackets),
            ]),
            new(segments, HasTotals: false, IsOfHost: false,
            [
                .. Transports("transmit", "segments", TransmitSegments),
                .. Transports("receive", "segments", ReceiveSegments),
            ]),
            new(packetSizes, HasTotals: false, IsOfHost: false, [.. SharedLabels.Direction.Values.Select(Sizes)]),
        ],
        static row =>
        {
            ref readonly var traffic = ref RowFields.ValueOf<TrafficValue>(row);
            return traffic.Transmit.Total.Bytes + traffic.Receive.Total.Bytes;
        });

    /// <summary>A transport's series come with its first packet in that direction.</summary>
    private static IEnumerable<Column> Transports(string direction, string unit, MetricDefinition family) => Transport.Values.Select(transport =>
        new CounterColumn(family, FieldOf($"{direction}.{transport}.{unit}"), FieldOf($"{direction}.{transport}.packets"), transport));

    private static RangesColumn Sizes(string direction) => new(
        PacketSizes,
        FieldOf($"{direction}.{TrafficSize.Bounds[0]}.segments"),
        TrafficSize.Bounds.Length + 1,
        [.. TrafficSize.Bounds.ToArray().Select(bound => (ulong)bound)],
        decimals: 0,
        isAlwaysShown: true,
        direction);

    private static int[] SumOf(string direction, string unit) => [.. Transport.Values.Select(transport => FieldOf($"{direction}.{transport}.{unit}"))];

    private static int FieldOf(string name) => TrafficValue.Fields.IndexOf(name);

    private static MetricDefinition Define(string direction, string unit, string help) =>
        new(Counter, $"podnet_{direction}_{unit}_total", unit, help, Transport) { Query = "" };
}
