using Exporter.Bpf.Contract;
using static Exporter.Metrics.MetricType;

namespace Exporter.Metrics;

/// <summary>The families that every pod has series of.</summary>
internal static class PodFamilies
{
    internal const string TransmitDirection = "transmit";
    internal const string ReceiveDirection = "receive";
    internal const string Client = "client";
    internal const string Server = "server";

    internal static readonly MetricLabel Direction = new("direction", TransmitDirection, ReceiveDirection);
    internal static readonly MetricLabel Role = new("role", Client, Server);

    /// <summary>As OpenTelemetry's network.transport has it, by <see cref="Bpf.Contract.Transport"/>.</summary>
    internal static readonly MetricLabel Transport = new("transport", "tcp", "udp", "icmp", "sctp", "other");

    /// <summary>As OpenTelemetry's error.type has them, by <see cref="HandshakeFailure"/>.</summary>
    internal static readonly MetricLabel Reason = new("reason", "refused", "reset", "timed_out", "host_unreachable", "net_unreachable", "aborted", "other", "half_open");

    internal static readonly MetricDefinition TransmitBytes = Traffic("transmit", "bytes", "Bytes sent by the pod, Ethernet headers included, as its interface counts them.") with
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_transmit_bytes_total[5m])))",
        Details = "Equals RX of `ip -s link` on the host's end of the pair.",
    };

    internal static readonly MetricDefinition TransmitPackets =
        Traffic("transmit", "packets", "Packets sent by the pod as its interface counts them: one may stand for many on the wire.") with
        {
            Query = "sum by (transport) (rate(podnet_transmit_packets_total[5m]))",
        };

    internal static readonly MetricDefinition TransmitSegments = Traffic("transmit", "segments", "Packets sent by the pod as the wire would carry them.") with
    {
        Query = "sum by (namespace, pod) (rate(podnet_transmit_segments_total[5m])) / sum by (namespace, pod) (rate(podnet_transmit_packets_total[5m]))",
    };

    internal static readonly MetricDefinition ReceiveBytes = Traffic("receive", "bytes", "Bytes delivered to the pod, Ethernet headers included, as its interface counts them.") with
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_receive_bytes_total[5m])))",
        Details = "Equals TX of `ip -s link` on the host's end of the pair.",
    };

    internal static readonly MetricDefinition ReceivePackets =
        Traffic("receive", "packets", "Packets delivered to the pod as its interface counts them: one may stand for many on the wire.") with
        {
            Query = "sum by (transport) (rate(podnet_receive_packets_total[5m]))",
        };

    internal static readonly MetricDefinition ReceiveSegments = Traffic("receive", "segments", "Packets delivered to the pod as the wire would carry them.") with
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_receive_segments_total[5m])))",
    };

    internal static readonly MetricDefinition PacketSizes = new(
        Histogram, "podnet_packet_size_bytes", "bytes", "Lengths of packets as the wire would carry them, Ethernet header included.", Direction)
    {
        Bounds = [.. TrafficSize.Bounds.ToArray().Select(bound => (double)bound)],
        Query = "histogram_quantile(0.5, sum by (le, namespace, pod) (rate(podnet_packet_size_bytes_bucket{direction=\"transmit\"}[5m])))",
        Details = "Buckets, sum and count are exact.",
    };

    internal static readonly MetricDefinition HandshakeFailures = new(
        Counter,
        "podnet_tcp_handshake_failures_total",
        "handshakes",
        "TCP handshakes of the pod that were not completed. With reason half_open the client reset it after the SYN-ACK, as load balancers check a port.",
        Role,
        Reason)
    {
        Query = "sum by (namespace, pod, role) (rate(podnet_tcp_handshake_failures_total{reason!=\"half_open\"}[5m])) "
            + "/ (sum by (namespace, pod, role) (rate(podnet_tcp_handshake_failures_total{reason!=\"half_open\"}[5m])) + sum by (namespace, pod, role) (rate(podnet_tcp_handshake_duration_seconds_count[5m])))",
    };

    internal static readonly MetricDefinition HandshakeRetransmits = new(
        Counter, "podnet_tcp_handshake_retransmits_total", "segments", "SYNs that the pod sent again as a client, SYN-ACKs as a server.", Role)
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_tcp_handshake_retransmits_total{role=\"client\"}[5m])))",
    };

    private const double NanosecondsPerSecond = 1e9;

    /// <param name="bounds">Of the durations, in nanoseconds, as the programs were loaded with them.</param>
    internal static MetricDefinition HandshakeDurations(IReadOnlyList<ulong> bounds) => new(
        Histogram,
        "podnet_tcp_handshake_duration_seconds",
        "seconds",
        "Durations of the pod's completed TCP handshakes, what was sent again included: the client's from its SYN to the SYN-ACK, the server's from its SYN-ACK to the ACK.",
        Role)
    {
        Bounds = [.. bounds.Select(bound => bound / NanosecondsPerSecond)],
        Query = "histogram_quantile(0.99, sum by (le, namespace, pod) (rate(podnet_tcp_handshake_duration_seconds_bucket{role=\"client\"}[5m])))",
        Details = "The bounds are the option `Handshake:Buckets`.",
    };

    private static MetricDefinition Traffic(string direction, string unit, string help) =>
        new(Counter, $"podnet_{direction}_{unit}_total", unit, help, Transport) { Query = "" };
}
