using System.Collections.Immutable;
using Exporter.Bpf.Netlink;
using Exporter.Pods;

namespace Exporter.Interfaces;

/// <summary>
/// Finds interfaces whose own counters move while ours do not: the programs were removed, or a program before ours ends the
/// chain.
/// </summary>
internal sealed class CoverageCheck
{
    /// <summary>Rounds in a row; one alone could be packets that are counted and not drained yet.</summary>
    private const int RoundsToTell = 2;

    private Dictionary<long, Sample> _samples = [];

    /// <summary>The interfaces that are not covered now.</summary>
    internal HashSet<int> FindUncovered(IEnumerable<LinkStatistics> statistics, ImmutableDictionary<int, PodInterface> table)
    {
        var samples = new Dictionary<long, Sample>(_samples.Count);
        var uncovered = new HashSet<int>();
        foreach (var counters in statistics)
        {
            if (!table.TryGetValue(counters.Ifindex, out var owner))
            {
                continue;
            }
            var totals = owner.Totals;
            var sample = new Sample(
                new(counters.ReceivedPackets, totals.Transmitted.Packets), new(counters.TransmittedPackets, totals.Received.Packets));
            if (_samples.TryGetValue(owner.Generation, out var last))
            {
                sample = new(sample.Transmit.After(last.Transmit), sample.Receive.After(last.Receive));
            }
            samples[owner.Generation] = sample;
            if (sample.Transmit.Missed >= RoundsToTell || sample.Receive.Missed >= RoundsToTell)
            {
                uncovered.Add(counters.Ifindex);
            }
        }
        _samples = samples;
        return uncovered;
    }

    private readonly record struct Sample(Course Transmit, Course Receive);

    /// <summary>One direction: packets by the interface's counters and by ours, and for how many rounds only the first have moved.</summary>
    private readonly record struct Course(ulong Interface, ulong Counted, int Missed = 0)
    {
        internal Course After(Course last) =>
            this with { Missed = Counted != last.Counted ? 0 : Interface != last.Interface ? last.Missed + 1 : last.Missed };
    }
}
