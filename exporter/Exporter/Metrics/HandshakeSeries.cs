using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>The families of TCP handshakes at one level.</summary>
/// <param name="Bounds">The histogram's upper bounds in seconds.</param>
internal sealed record HandshakeFamilies(Histogram Durations, Counter Failures, Counter Retransmits, IReadOnlyList<double> Bounds)
{
    /// <summary>One for each bucket, for the infinite one, for the sum and for the count.</summary>
    internal int DurationLines => Bounds.Count + 3;
}

/// <summary>A pod's series of one role. Each comes with what it counts for the first time.</summary>
internal sealed class HandshakeSeries(HandshakeFamilies families, LabelValues pod, string role)
{
    private const double NanosecondsPerSecond = 1e9;

    /// <summary>The rounding of some ten thousand additions, if all of it went one way.</summary>
    private const double RoundingRoom = 1e-12;

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

    internal void Add(in HandshakeRole handshakes) => Add(handshakes, 1);

    /// <summary>
    /// What a former process has shown: its sum of seconds was made of many additions, each of them rounded. That of all at once is made a
    /// little larger, lest it be smaller.
    /// </summary>
    internal void Restore(in HandshakeRole handshakes) => Add(handshakes, 1 + RoundingRoom);

    private void Add(in HandshakeRole handshakes, double factor)
    {
        var index = 0;
        foreach (ref readonly var range in (ReadOnlySpan<HandshakeDuration>)handshakes.Durations)
        {
            if (range.Handshakes > 0)
            {
                // The mean of a range lies in that range, and as often as there were handshakes it makes their sum.
                _durations ??= families.Durations.WithLabels(pod.With(role));
                var mean = range.Nanoseconds / (double)range.Handshakes / NanosecondsPerSecond;
                var larger = mean * factor;
                _durations.Observe(index < families.Bounds.Count && mean <= families.Bounds[index] && larger > families.Bounds[index] ? mean : larger, (long)range.Handshakes);
            }
            index++;
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
