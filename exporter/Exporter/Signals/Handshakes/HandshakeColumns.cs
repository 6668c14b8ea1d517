using Exporter.Accounts;
using Exporter.Metrics;
using Exporter.Pods;
using static Exporter.Metrics.MetricType;

namespace Exporter.Signals.Handshakes;

/// <summary>The families of TCP handshakes that pods have series of.</summary>
internal static class HandshakeColumns
{
    private const int NanosecondDecimals = 9;
    private const double NanosecondsPerSecond = 1e9;

    /// <summary>As OpenTelemetry's error.type has them, by <see cref="HandshakeFailure"/>.</summary>
    private static readonly MetricLabel Reason = new("reason", "refused", "reset", "timed_out", "host_unreachable", "net_unreachable", "aborted", "other", "half_open");

    private static readonly MetricDefinition Failures = new(
        Counter,
        "podnet_tcp_handshake_failures_total",
        "handshakes",
        "TCP handshakes of the pod that were not completed. With reason half_open the client reset it after the SYN-ACK, as load balancers check a port.",
        SharedLabels.Role,
        Reason)
    {
        Query = "sum by (namespace, pod, role) (rate(podnet_tcp_handshake_failures_total{reason!=\"half_open\"}[5m])) "
            + "/ (sum by (namespace, pod, role) (rate(podnet_tcp_handshake_failures_total{reason!=\"half_open\"}[5m])) + sum by (namespace, pod, role) (rate(podnet_tcp_handshake_duration_seconds_count[5m])))",
    };

    private static readonly MetricDefinition Retransmits = new(
        Counter, "podnet_tcp_handshake_retransmits_total", "segments", "SYNs that the pod sent again as a client, SYN-ACKs as a server.", SharedLabels.Role)
    {
        Query = "topk(10, sum by (namespace, pod) (rate(podnet_tcp_handshake_retransmits_total{role=\"client\"}[5m])))",
    };

    /// <summary>Completed and failed ones.</summary>
    internal static SignalTotals Totals { get; } = new(
        HandshakeValue.Fields,
        [
            new("handshakes", "TCP handshakes, completed or failed, {0}.", SharedLabels.Role, IsByLabel: false, role =>
            [
                .. CountsOf(role),
                .. Reason.Values.Select(reason => FieldOfReason(role, reason)),
            ]),
        ],
        [.. SharedLabels.Role.Values, .. SharedLabels.Role.Values.Select(FailuresOf)],
        "in a network namespace whose pod was not identified in time, or that is not the peer of any interface",
        "In time is within `Identity:HoldFor`. A namespace that is not the peer of any host interface is one inside a pod, such as a rootless container's or a browser sandbox's.");

    /// <summary>A block for each role, and one for each reason of failure of a role.</summary>
    /// <param name="level">Null: they are not shown.</param>
    internal static SignalColumns Create(SeriesLevel? level, HandshakeOptions handshakes)
    {
        var durations = Durations(handshakes.Buckets);
        return new(
            HandshakeValue.Fields,
            handshakes.Bounds is null
                ? []
                :
                [
                    new(level, HasTotals: true, IsOfHost: true,
                    [
                        .. SharedLabels.Role.Values.Select(role => RoleBlock(role, new(
                            durations, FieldOf($"{role}.0.count"), HandshakeValue.Ranges, handshakes.Buckets, NanosecondDecimals, role))),
                        .. from role in SharedLabels.Role.Values from reason in Reason.Values select FailureBlock(role, reason),
                    ]),
                ]);
    }

    private static Block RoleBlock(string role, RangesColumn durations) =>
        new(role, CountsOf(role), [durations, new FieldColumn(Retransmits, FieldOf($"{role}.resent"), role)]);

    private static Block FailureBlock(string role, string reason) =>
        new(FailuresOf(role), [FieldOfReason(role, reason)], [new FieldColumn(Failures, FieldOfReason(role, reason), role, reason)]);

    private static string FailuresOf(string role) => $"{role}_failures";

    /// <summary>The fields with the numbers of completed handshakes.</summary>
    private static int[] CountsOf(string role) => [.. Enumerable.Range(0, HandshakeValue.Ranges).Select(range => FieldOf($"{role}.{range}.count"))];

    private static MetricDefinition Durations(IReadOnlyList<ulong> bounds) => new(
        Histogram,
        "podnet_tcp_handshake_duration_seconds",
        "seconds",
        "Durations of the pod's completed TCP handshakes, including retransmissions: the client's from its SYN to the SYN-ACK, the server's from its SYN-ACK to the ACK.",
        SharedLabels.Role)
    {
        Bounds = [.. bounds.Select(bound => bound / NanosecondsPerSecond)],
        Query = "histogram_quantile(0.99, sum by (le, namespace, pod) (rate(podnet_tcp_handshake_duration_seconds_bucket{role=\"client\"}[5m])))",
        Details = "The bounds are the option `Handshake:Buckets`.",
    };

    private static int FieldOfReason(string role, string reason) => FieldOf($"{role}.{reason.Replace("_", "", StringComparison.Ordinal)}");

    private static int FieldOf(string name) => HandshakeValue.Fields.IndexOf(name);
}
