using Exporter.Pods;
using Exporter.State;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>
/// The groups of one level: who has series of its own, and who is folded into whose. Who has its own keeps them while it has a user. Used by
/// <see cref="PodMetrics"/> under its lock.
/// </summary>
/// <param name="folded">The total of what is counted into others' series.</param>
/// <param name="retired">The total of what was counted in series that have left.</param>
internal sealed class LevelGroups(
    IMetricFactory metrics,
    LevelPlan plan,
    LabelSet labels,
    SeriesPool pods,
    SeriesPool namespaces,
    int maxPods,
    TimeSpan retention,
    TimeProvider time,
    Ledger ledger,
    TotalCounts folded,
    TotalCounts retired)
{
    private readonly LevelFamilies _families = new(metrics, plan, labels.Names);
    private readonly Dictionary<LabelValues, SeriesGroup> _groups = [];

    /// <summary>With the next commit their records are gone, and then their series.</summary>
    private readonly List<SeriesGroup> _leaving = [];

    private int _admitted;

    /// <summary>Sample lines.</summary>
    internal int Lines
    {
        get
        {
            var lines = 0;
            foreach (var group in _groups.Values)
            {
                lines += group.IsFolded ? 0 : group.Series.Lines;
            }
            foreach (var group in _leaving)
            {
                lines += group.Series.Lines;
            }
            return lines;
        }
    }

    /// <summary>Groups that have no series of their own.</summary>
    internal int Folded { get; private set; }

    /// <summary>
    /// Takes over what a former process has counted for a group, which has no users yet. What cannot be shown here is retired.
    /// </summary>
    /// <returns>Whether it is of this level.</returns>
    internal bool TryRestore(GroupKey key, LedgerEntry entry)
    {
        if (key.Level != plan.Level || !key.LabelNames.SequenceEqual(labels.Names))
        {
            return false;
        }
        var pool = key.Room switch
        {
            GroupRoom.Pods => pods,
            GroupRoom.Namespaces => namespaces,
            _ => null,
        };
        var known = key.Totals == GroupTotals.Unknown ? key with { Totals = plan.Totals } : key;
        var counts = FindShown(known, entry.Committed);
        var series = _families.Create(key.Labels, key.HasTraffic);
        series.Restore(counts);
        if (pool is not null && ((pool == pods && _admitted >= maxPods) || !pool.TryTake(series.Lines)))
        {
            series.Remove();
            return false;
        }
        var record = ledger.Open(RecordKind.Group, entry.Key, null);
        if (!counts.IsSame(record.Committed) || key.Totals != plan.Totals)
        {
            record = Replace(record, known, counts);
        }
        record.View = series;
        var group = new SeriesGroup(key.Labels, plan, folded) { ReleasedAt = time.GetTimestamp() };
        group.Admit(series, record, pool, pool is null ? plan.Lines : series.Lines);
        _admitted += pool == pods ? 1 : 0;
        _groups[key.Labels] = group;
        return true;
    }

    /// <summary>Whether the pod's group has series of its own.</summary>
    internal bool HasOwn(LabelValues pod) => _groups.TryGetValue(labels.Select(pod), out var group) && !group.IsFolded;

    /// <summary>The pod's group, for one more interface. Nobody overtakes those that wait for series of their own.</summary>
    internal SeriesGroup Acquire(LabelValues pod)
    {
        var own = labels.Select(pod);
        if (!_groups.TryGetValue(own, out var group))
        {
            _groups[own] = group = new(own, plan, folded);
            if (Folded > 0 || !TryAdmit(group))
            {
                Fold(group);
            }
        }
        else if (!TryResume(group))
        {
            _leaving.Add(group);
            _groups[own] = group = new(own, plan, folded) { HasLeft = true };
            Fold(group);
        }
        group.Users++;
        return group;
    }

    /// <summary>
    /// The host's group, which has handshakes alone, and its room whatever comes; or that of pods that are shown as the host is. Null where
    /// there are no handshakes at this level.
    /// </summary>
    internal SeriesGroup? AcquireHost(LabelValues host)
    {
        var own = labels.Select(host);
        return plan.Durations is null ? null
            : own.Values.Contains(PodLabels.HostName) ? AcquireFixed(own, hasTraffic: false)
            : Acquire(host);
    }

    /// <summary>One user less. After the last nothing is counted any more: what is set aside and was not needed is free.</summary>
    internal void Release(SeriesGroup group)
    {
        group.Users--;
        group.ReleasedAt = time.GetTimestamp();
        if (group is { Users: 0, IsFolded: false, Pool: { } pool })
        {
            pool.Return(group.HeldLines - group.Series.Lines);
            group.HeldLines = group.Series.Lines;
        }
    }

    /// <summary>Has those leave that nobody has used for the retention, or whose room was taken. Allocates only when something changes, as the two that follow.</summary>
    internal void Expire()
    {
        foreach (var (key, group) in _groups)
        {
            if (group.Users > 0)
            {
                continue;
            }
            if (group.Into is { } other)
            {
                Release(other);
                Folded--;
                _groups.Remove(key);
            }
            else if (time.GetElapsedTime(group.ReleasedAt) >= retention)
            {
                _groups.Remove(key);
                _leaving.Add(group);
            }
        }
        lock (ledger.Lock)
        {
            _leaving.ForEach(Retire);
        }
    }

    /// <summary>Takes away the series of those whose leaving was committed.</summary>
    internal void RemoveLeft()
    {
        foreach (var group in _leaving)
        {
            group.Series.Remove();
            group.Pool?.Return(group.HeldLines);
            _admitted -= group.Pool == pods ? 1 : 0;
        }
    }

    /// <summary>Gives room to those that wait. Whose former series have just left waits for the next time: they would seem to go back to zero.</summary>
    internal void AdmitWaiting()
    {
        while (Folded > 0 && FindNext() is { } next && TryAdmit(next))
        {
        }
        foreach (var left in _leaving)
        {
            if (_groups.TryGetValue(left.Labels, out var group))
            {
                group.HasLeft = false;
            }
        }
        _leaving.Clear();
    }

    /// <summary>What it has counted is in the total of what has left with the same commit.</summary>
    private void Retire(SeriesGroup group)
    {
        retired.Add(group.Entry.Total, plan.Totals);
        group.Entry.Remove();
    }

    /// <summary>
    /// What goes on of what a former process has counted, which may have had other families at this level: what it has shown here as well, by
    /// the bounds of today.
    /// </summary>
    private LedgerCounts FindShown(GroupKey key, in LedgerCounts counts) => new()
    {
        Traffic = key.Totals.HasFlag(GroupTotals.Traffic) == plan.HasTraffic ? counts.Traffic : default,
        Handshakes = key.Totals.HasFlag(GroupTotals.Handshakes) && plan.Bounds is { } bounds ? counts.Handshakes.Regroup(bounds) : default,
    };

    /// <summary>In one commit, with which what does not go on is in the total of what has left.</summary>
    private LedgerEntry Replace(LedgerEntry former, GroupKey key, in LedgerCounts counts)
    {
        lock (ledger.Lock)
        {
            retired.Add(former.Committed, key.Totals & ~plan.Totals);
            former.Remove();
            var record = ledger.Open(RecordKind.Group, (key with { Totals = plan.Totals }).Write(), null);
            record.Add(counts);
            ledger.Commit();
            return record;
        }
    }

    private bool TryAdmit(SeriesGroup group)
    {
        if (_admitted >= maxPods || !pods.TryTake(plan.Lines))
        {
            return false;
        }
        _admitted++;
        if (group.Into is { } other)
        {
            Release(other);
            Folded--;
        }
        Admit(group, hasTraffic: true, pods, GroupRoom.Pods);
        return true;
    }

    /// <summary>Whether it has room for all that there can be, as while it had users.</summary>
    private bool TryResume(SeriesGroup group)
    {
        if (group.Pool is { } pool && !group.IsFolded && group.HeldLines < plan.Lines)
        {
            if (!pool.TryTake(plan.Lines - group.HeldLines))
            {
                return false;
            }
            group.HeldLines = plan.Lines;
        }
        return true;
    }

    private void Fold(SeriesGroup group)
    {
        group.FoldInto(FindOther(group.Labels));
        Folded++;
    }

    /// <summary>Of those that wait, the one with the most traffic.</summary>
    private SeriesGroup? FindNext()
    {
        SeriesGroup? next = null;
        foreach (var group in _groups.Values)
        {
            if (group is { IsFolded: true, HasLeft: false } && (next is null || group.FoldedBytes > next.FoldedBytes))
            {
                next = group;
            }
        }
        return next;
    }

    /// <summary>The others of its namespace, or, where these have no room, the others of all.</summary>
    private SeriesGroup FindOther(LabelValues own)
    {
        if (labels.FoldInNamespace(own) is { } key)
        {
            if (_groups.TryGetValue(key, out var found))
            {
                if (TryResume(found))
                {
                    found.Users++;
                    return found;
                }
            }
            else if (namespaces.TryTake(plan.Lines))
            {
                return Add(key, hasTraffic: true, namespaces, GroupRoom.Namespaces);
            }
        }
        return AcquireFixed(labels.Fold(own), hasTraffic: true);
    }

    private SeriesGroup AcquireFixed(LabelValues key, bool hasTraffic)
    {
        if (!_groups.TryGetValue(key, out var group))
        {
            return Add(key, hasTraffic, null, GroupRoom.Fixed);
        }
        group.Users++;
        return group;
    }

    private SeriesGroup Add(LabelValues key, bool hasTraffic, SeriesPool? pool, GroupRoom room)
    {
        var group = new SeriesGroup(key, plan, folded) { Users = 1 };
        Admit(group, hasTraffic, pool, room);
        _groups[key] = group;
        return group;
    }

    /// <summary>With series and a record that start at zero.</summary>
    private void Admit(SeriesGroup group, bool hasTraffic, SeriesPool? pool, GroupRoom room)
    {
        var series = _families.Create(group.Labels, hasTraffic);
        var key = new GroupKey(plan.Level, labels.Names, room, plan.Totals, hasTraffic, group.Labels);
        group.Admit(series, ledger.Open(RecordKind.Group, key.Write(), series), pool, plan.Lines);
    }
}
