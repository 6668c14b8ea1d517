using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>The families of TCP handshakes at one level.</summary>
internal sealed record HandshakeFamilies(Histogram Durations, Counter Failures, Counter Retransmits, int DurationLines);

/// <summary>A pod's series of one role. Each comes with what it counts for the first time.</summary>
internal sealed class HandshakeSeries(HandshakeFamilies families, LabelValues pod, string role)
{
    private const double NanosecondsPerSecond = 1e9;

    private static readonly IReadOnlyList<string> ReasonLabels = PodFamilies.Reason.Values;

    private readonly Counter.Child?[] _failures = new Counter.Child?[ReasonLabels.Count];
    private Histogram.Child? _durations;
    private Counter.Child? _retransmits;

    internal int Lines
    {
        get
        {
            var lines = (_durations is null ? 0 : families.DurationLines) + (_retransmits is null ? 0 : 1);
            foreach (var failure in _failures)
            {
                lines += failure is null ? 0 : 1;
            }
            return lines;
        }
    }

    /// <summary>Handshakes, completed and failed.</summary>
    internal ulong Total
    {
        get
        {
            var total = (ulong)(_durations?.Count ?? 0);
            foreach (var failure in _failures)
            {
                total += (ulong)(failure?.Value ?? 0);
            }
            return total;
        }
    }

    internal void Add(in HandshakeRole handshakes)
    {
        foreach (ref readonly var range in (ReadOnlySpan<HandshakeDuration>)handshakes.Durations)
        {
            if (range.Handshakes > 0)
            {
                // The mean of a range lies in that range, and as often as there were handshakes it makes their sum.
                _durations ??= families.Durations.WithLabels(pod.With(role));
                _durations.Observe(range.Nanoseconds / (double)range.Handshakes / NanosecondsPerSecond, (long)range.Handshakes);
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
