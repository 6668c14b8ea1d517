using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>The families of TCP handshakes.</summary>
/// <param name="podLabels">The names of the labels that a pod is shown by.</param>
/// <param name="bounds">Of the durations, in nanoseconds, as the programs were loaded with them.</param>
internal sealed class HandshakeFamilies(IMetricFactory metrics, IReadOnlyList<string> podLabels, IReadOnlyList<ulong> bounds)
{
    internal const double NanosecondsPerSecond = 1e9;

    internal Histogram Durations { get; } = metrics.CreateHistogram(
        "podnet_tcp_handshake_duration_seconds",
        "Durations of the pod's completed TCP handshakes, what was sent again included: the client's from its SYN to the SYN-ACK, the server's from its SYN-ACK to the ACK.",
        [.. podLabels, "role"],
        new HistogramConfiguration { Buckets = [.. bounds.Select(bound => bound / NanosecondsPerSecond)] });

    internal Counter Failures { get; } = metrics.CreateCounter(
        "podnet_tcp_handshake_failures_total", "TCP handshakes of the pod that were not completed.", [.. podLabels, "role", "reason"]);

    internal Counter Retransmits { get; } = metrics.CreateCounter(
        "podnet_tcp_handshake_retransmits_total", "SYNs that the pod sent again as a client, SYN-ACKs as a server.", [.. podLabels, "role"]);

    /// <summary>Sample lines of a histogram: its buckets, the infinite one, sum and count.</summary>
    internal int DurationSeries => bounds.Count + 3;
}

/// <summary>A pod's series of one role. Each comes with what it counts for the first time.</summary>
internal sealed class HandshakeSeries(HandshakeFamilies families, LabelValues pod, string role)
{
    /// <summary>As OpenTelemetry's error.type has them, by <see cref="HandshakeFailure"/>.</summary>
    private static readonly string[] ReasonLabels = ["refused", "reset", "timed_out", "host_unreachable", "net_unreachable", "aborted", "other"];

    private readonly Counter.Child?[] _failures = new Counter.Child?[ReasonLabels.Length];
    private Histogram.Child? _durations;
    private Counter.Child? _retransmits;

    internal int SeriesCount =>
        (_durations is null ? 0 : families.DurationSeries) + _failures.Count(failure => failure is not null) + (_retransmits is null ? 0 : 1);

    internal void Add(in HandshakeRole handshakes)
    {
        foreach (ref readonly var range in (ReadOnlySpan<HandshakeDuration>)handshakes.Durations)
        {
            if (range.Handshakes > 0)
            {
                // The mean of a range lies in that range, and as often as there were handshakes it makes their sum.
                _durations ??= families.Durations.WithLabels(pod.With(role));
                _durations.Observe(range.Nanoseconds / (double)range.Handshakes / HandshakeFamilies.NanosecondsPerSecond, (long)range.Handshakes);
            }
        }
        for (var reason = 0; reason < _failures.Length; reason++)
        {
            if (handshakes.Failures[reason] is > 0 and var count)
            {
                (_failures[reason] ??= families.Failures.WithLabels(pod.With(role, ReasonLabels[reason]))).Inc(count);
            }
        }
        if (handshakes.Retransmits > 0)
        {
            (_retransmits ??= families.Retransmits.WithLabels(pod.With(role))).Inc(handshakes.Retransmits);
        }
    }

    internal void Remove()
    {
        _durations?.Remove();
        _retransmits?.Remove();
        foreach (var failure in _failures)
        {
            failure?.Remove();
        }
    }
}
