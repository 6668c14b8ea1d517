using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Metrics;

/// <summary>
/// Pods that are shown alike at one level, and where that goes which is counted for them: to a record of their own, which their series show,
/// or to that of another group that they are folded into. What was counted stays where it was counted. <see cref="LevelGroups"/> decides;
/// adding is for the drain alone.
/// </summary>
/// <param name="plan">Which of the families are at this level.</param>
/// <param name="folded">The total of all that is folded.</param>
internal sealed class SeriesGroup(LabelValues labels, LevelPlan plan, TotalCounts folded)
{
    private Place? _place;

    internal LabelValues Labels => labels;

    internal bool IsFolded => Into is not null;

    /// <summary>The group that it is counted with; null where it has its own record.</summary>
    internal SeriesGroup? Into => Volatile.Read(ref _place)?.Into;

    /// <summary>Of its own, or of the group that it is folded into.</summary>
    internal PodSeries Series => Volatile.Read(ref _place)!.Series;

    /// <summary>As <see cref="Series"/>.</summary>
    internal LedgerEntry Entry => Volatile.Read(ref _place)!.Entry;

    /// <summary>Where the lines of its own series came from; null where these have their room whatever comes.</summary>
    internal SeriesPool? Pool { get; private set; }

    /// <summary>How many lines of that are set aside for it.</summary>
    internal int HeldLines { get; set; }

    /// <summary>It came back and found no room: the series that it had before leave with the next commit.</summary>
    internal bool HasLeft { get; set; }

    /// <summary>Interfaces of its pods, or groups that are folded into it.</summary>
    internal int Users { get; set; }

    /// <summary>When it last lost one.</summary>
    internal long ReleasedAt { get; set; }

    /// <summary>Bytes that were counted for it while it was folded.</summary>
    internal ulong FoldedBytes { get; private set; }

    /// <summary>From now on it has series of its own, and room for so many lines of them.</summary>
    internal void Admit(PodSeries series, LedgerEntry entry, SeriesPool? pool, int lines)
    {
        (Pool, HeldLines) = (pool, lines);
        Volatile.Write(ref _place, new(series, entry, null));
    }

    internal void FoldInto(SeriesGroup other) => Volatile.Write(ref _place, new(other.Series, other.Entry, other));

    internal void Add(in TrafficValue traffic)
    {
        var place = Volatile.Read(ref _place)!;
        place.Entry.Add(traffic);
        if (place.Into is not null)
        {
            var (transmitted, received) = (traffic.Transmit.Total, traffic.Receive.Total);
            FoldedBytes += transmitted.Bytes + received.Bytes;
            if (plan.HasTraffic)
            {
                folded.Add(transmitted, received);
            }
        }
    }

    /// <summary>As the other.</summary>
    internal void Add(in HandshakeValue handshakes)
    {
        var place = Volatile.Read(ref _place)!;
        place.Entry.Add(handshakes);
        if (place.Into is not null && plan.Durations is not null)
        {
            folded.Add(handshakes.Client.Total, handshakes.Server.Total);
        }
    }

    private sealed record Place(PodSeries Series, LedgerEntry Entry, SeriesGroup? Into);
}
