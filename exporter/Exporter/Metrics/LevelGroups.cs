using Exporter.Pods;
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
    TotalCounts folded,
    TotalCounts retired)
{
    private readonly LevelFamilies _families = new(metrics, plan, labels.Names);
    private readonly Dictionary<LabelValues, SeriesGroup> _groups = [];
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
            return lines;
        }
    }

    /// <summary>Groups that have no series of their own.</summary>
    internal int Folded { get; private set; }

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
            Remove(group);
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

    /// <summary>Removes what nobody has used for the retention, and gives the room to those that wait. Allocates only when something changes.</summary>
    internal void Settle()
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
                Remove(group);
            }
        }
        while (Folded > 0 && FindNext() is { } next && TryAdmit(next))
        {
        }
    }

    private void Remove(SeriesGroup group)
    {
        group.Series.Remove(retired);
        group.Pool?.Return(group.HeldLines);
        _admitted -= group.Pool == pods ? 1 : 0;
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
        group.Admit(_families.Create(group.Labels, hasTraffic: true), pods);
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
            if (group.IsFolded && (next is null || group.FoldedBytes > next.FoldedBytes))
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
                return Add(key, hasTraffic: true, namespaces);
            }
        }
        return AcquireFixed(labels.Fold(own), hasTraffic: true);
    }

    private SeriesGroup AcquireFixed(LabelValues key, bool hasTraffic)
    {
        if (!_groups.TryGetValue(key, out var group))
        {
            return Add(key, hasTraffic, null);
        }
        group.Users++;
        return group;
    }

    private SeriesGroup Add(LabelValues key, bool hasTraffic, SeriesPool? pool)
    {
        var group = new SeriesGroup(key, plan, folded) { Users = 1 };
        group.Admit(_families.Create(key, hasTraffic), pool);
        _groups[key] = group;
        return group;
    }
}
