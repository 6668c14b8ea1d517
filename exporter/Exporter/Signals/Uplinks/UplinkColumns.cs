using Exporter.Accounts;
using Exporter.Metrics;
using Exporter.Pods;
using static Exporter.Metrics.MetricType;

namespace Exporter.Signals.Uplinks;

/// <summary>The families that uplinks have series of.</summary>
internal static class UplinkColumns
{
    private static readonly MetricLabel Class = new("class", [.. UplinkValue.ClassNames]);

    private static readonly MetricDefinition ReceivePackets = Define(
        "receive", "packets", "Frames that arrived at the interface, as the wire has them.",
        "sum by (instance, class) (rate(podnet_uplink_receive_packets_total[5m]))",
        "Every frame is in one class: tcp_illegal has no flag, FIN with PSH and URG and no ACK, or SYN with FIN; udp_reflection comes from the port of a service that amplifies, DNS and NTP among them; "
            + "fragment is also the first one; other_ip is also IP whose headers are not whole. Frames that XDP or the interface drops before are not among them. docs/uplinks.md has more.");

    private static readonly MetricDefinition ReceiveBytes = Define(
        "receive", "bytes", "Bytes of the received frames, from the Ethernet header on, VLAN tags included.",
        "sum by (instance, class) (rate(podnet_uplink_receive_bytes_total[5m])) * 8",
        "By XDP, without the tag that an interface with VLAN offload takes off.");

    private static readonly MetricDefinition TransmitPackets = Define(
        "transmit", "packets", "Frames that were handed to the interface, as the wire has them.",
        "sum by (instance, class) (rate(podnet_uplink_transmit_packets_total[5m]))", null);

    private static readonly MetricDefinition TransmitBytes = Define(
        "transmit", "bytes", "Bytes of the sent frames, from the Ethernet header on, VLAN tags included.",
        "sum by (instance) (rate(podnet_uplink_transmit_bytes_total[5m])) * 8", null);

    private static readonly MetricDefinition PacketSizes = new(
        Histogram, "podnet_uplink_packet_size_bytes", "bytes", "Lengths of frames, from the Ethernet header on.", SharedLabels.Direction)
    {
        Bounds = [.. UplinkValue.SizeBounds.ToArray().Select(bound => (double)bound)],
        Query = "histogram_quantile(0.5, sum by (le, instance, interface) (rate(podnet_uplink_packet_size_bytes_bucket{direction=\"receive\"}[5m])))",
        Details = "Buckets, sum and count are exact.",
    };

    private static readonly MetricDefinition Dropped = new(
        Counter, "podnet_uplink_dropped_packets_total", "packets", "Received frames that the interface, or the stack on its behalf, dropped by its own counters.",
        new MetricLabel("reason", [.. UplinkRow.DropReasons]))
    {
        Query = "sum by (instance, interface, reason) (rate(podnet_uplink_dropped_packets_total[5m])) > 0",
        Details = "The counters of `ip -s -s link`: missed is rx_missed_errors, no_buffer rx_fifo_errors, errors rx_errors, no_handler rx_nohandler, backlog rx_dropped, which also has frames of protocols that "
            + "nothing on the node speaks. Drivers differ in which of them they count, and some count one frame in two. Counted since the exporter counts the interface.",
    };

    internal static SignalTotals Totals { get; } = new(
        UplinkRow.Fields,
        [
            new("uplink_packets", "Frames of uplinks counted {0}.", SharedLabels.Direction, IsByLabel: false, direction => SumOf(direction, "packets")) { IsOfRetiredOnly = true },
            new("uplink_bytes", "The bytes of the {1} frames of uplinks.", SharedLabels.Direction, IsByLabel: true, direction => SumOf(direction, "bytes")) { IsOfRetiredOnly = true },
        ],
        Blocks: [],
        "of an interface that has no series");

    /// <summary>One block, so that each line is there with the first frame: a drop that comes later is an increase.</summary>
    internal static SignalColumns All { get; } = new(
        UplinkRow.Fields,
        [
            new(SeriesLevel.Interface, HasTotals: true, IsOfHost: false,
            [
                new(
                    UplinkRow.Fields.Name,
                    [.. SharedLabels.Direction.Values.SelectMany(direction => SumOf(direction, "bytes"))],
                    [
                        .. Counters(ReceivePackets, "receive", "packets"), .. Counters(ReceiveBytes, "receive", "bytes"),
                        .. Counters(TransmitPackets, "transmit", "packets"), .. Counters(TransmitBytes, "transmit", "bytes"),
                        .. SharedLabels.Direction.Values.Select(Sizes),
                        .. UplinkRow.DropReasons.Select(reason => new FieldColumn(Dropped, FieldOf($"dropped.{reason}"), reason)),
                    ]),
            ])
            {
                Reserved = UplinkSlots.Count,
            },
        ]);

    /// <summary>None: nothing is counted.</summary>
    internal static SignalColumns None { get; } = new(UplinkRow.Fields, []);

    /// <summary>The fields of a class, in a row of the signal.</summary>
    internal static int FieldOf(string direction, string className, string unit) => FieldOf($"{direction}.{className}.{unit}");

    internal static int[] SumOf(string direction, string unit) => [.. UplinkValue.ClassNames.Select(name => FieldOf(direction, name, unit))];

    private static IEnumerable<FieldColumn> Counters(MetricDefinition family, string direction, string unit) =>
        UplinkValue.ClassNames.Select(name => new FieldColumn(family, FieldOf(direction, name, unit), name));

    private static RangesColumn Sizes(string direction) => new(
        PacketSizes, FieldOf($"{direction}.{UplinkValue.SizeBounds[0]}.packets"), UplinkValue.SizeBounds.Length + 1,
        [.. UplinkValue.SizeBounds.ToArray().Select(bound => (ulong)bound)], decimals: 0, direction);

    private static int FieldOf(string name) => UplinkRow.Fields.IndexOf(name);

    private static MetricDefinition Define(string direction, string unit, string help, string query, string? details) =>
        new(Counter, $"podnet_uplink_{direction}_{unit}_total", unit, help, Class) { Query = query, Details = details };
}
