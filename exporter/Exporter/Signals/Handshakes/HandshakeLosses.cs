using Exporter.Metrics;
using Exporter.State;
using Prometheus;

namespace Exporter.Signals.Handshakes;

/// <summary>The family of handshakes that the programs could not count.</summary>
internal sealed class HandshakeLosses
{
    /// <summary>By <see cref="HandshakeLoss"/>; two more that are found otherwise follow.</summary>
    private static readonly MetricLabel Reason = new("reason", "map_full", "map_busy", "map_error", "late_full", "untimed", "unseen", "missed");

    private static readonly MetricDefinition LostHandshakes = new(
        MetricType.Counter, "podnet_exporter_lost_handshakes_total", "handshakes", "TCP handshakes that the programs saw and could not count or time.", Reason)
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_lost_handshakes_total[1h])) > 0",
        Details = "map_full: raise `Bpf:MaxInterfaces`; late_full: raise `Handshake:MaxRetransmitting` (it shows as untimed when it is completed); untimed: completed, and the kernel does not report when it began; "
            + "unseen: retransmitted, and its end was missed; missed: changes of socket states for which the kernel skipped `podnet_tp_state` before `podnet_tp_state2` was attached, which counts those that the first misses; this is an upper bound. "
            + "With `Handshake:Hook=kprobe` skipped runs are only in `podnet_exporter_bpf_program_misses_total`.",
    };

    private readonly Counter.Child[] _counters;

    public HandshakeLosses(IMetricFactory metrics, Ledger ledger)
    {
        var counter = LostHandshakes.CreateCounter(metrics);
        _counters = [.. Reason.Values.Select(reason => counter.WithLabels(reason))];
        (Unseen, Missed) = (Keep("unseen"), Keep("missed"));

        LedgerCounter Keep(string reason) => new(counter.WithLabels(reason), $"{LostHandshakes.Name} {reason}", ledger);
    }

    internal static IReadOnlyList<MetricDefinition> Families => [LostHandshakes];

    /// <summary>Handshakes that were remembered and whose end the programs did not see.</summary>
    internal LedgerCounter Unseen { get; }

    /// <summary>Changes of sockets' states for which the kernel skipped the programs: at most so many handshakes.</summary>
    internal LedgerCounter Missed { get; }

    /// <param name="total">Since the programs were loaded.</param>
    internal void Set(HandshakeLoss reason, ulong total) => _counters[(int)reason].IncTo(total);
}
