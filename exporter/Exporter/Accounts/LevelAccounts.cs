using Exporter.Bpf;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// The groups of one level: who has series of its own, and who is folded into whose. Who has its own keeps them while it has a user. Used by
/// <see cref="PodAccounts"/> under its lock.
/// </summary>
/// <param name="folded">The total of what is counted into others' series.</param>
/// <param name="retired">The total of what was counted in series that have left.</param>
internal sealed class LevelAccounts(
    LevelPlan plan,
    LabelSet labels,
    SeriesPool pods,
    SeriesPool namespaces,
    int maxPods,
    TimeSpan retention,
    TimeProvider time,
    Ledger ledger,
    Totals folded,
    Totals retired)
{
    private readonly Dictionary<LabelValues, Account> _groups = [];

    /// <summary>Accounts whose records the next commit removes.</summary>
    private readonly List<Account> _leaving = [];

    private int _admitted;

    internal LevelPlan Plan => plan;

    /// <summary>The names of the labels that series of this level begin with.</summary>
    internal IReadOnlyList<string> LabelNames => labels.Names;

    /// <summary>Sample lines.</summary>
    internal int Lines
    {
        get
        {
            var lines = 0;
            foreach (var group in _groups.Values)
            {
                lines += group.Lines;
            }
            foreach (var group in _leaving)
            {
                lines += group.Lines;
            }
            return lines;
        }
    }

    /// <summary>The accounts that have records of their own; also those whose records the next commit removes.</summary>
    internal List<Account> FindShown() => [.. _groups.Values.Where(group => !group.IsFolded), .. _leaving];

    /// <summary>Accounts that have no series of their own.</summary>
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
        var shown = plan.FindShown(known, entry);
        var lines = shown.Sum(signal => plan.PlanOf(signal.Fields).CountLines(signal.Row));
        if (pool is not null && ((pool == pods && _admitted >= maxPods) || !pool.TryTake(lines)))
        {
            return false;
        }
        var record = ledger.Open(RecordKind.Group, entry.Key, null);
        if (key.Totals != plan.Totals || shown.Any(signal => !IsSame(signal.Row, record.ReadCommitted(signal.Fields))))
        {
            record = Replace(record, known, shown);
        }
        var group = new Account(key.Labels, plan, folded) { ReleasedAt = time.GetTimestamp(), IsOfHost = !key.HasTraffic };
        group.Admit(record, pool, pool is null ? plan.Lines : lines);
        _admitted += pool == pods ? 1 : 0;
        _groups[key.Labels] = group;
        return true;
    }

    /// <summary>Whether the pod's group has series of its own.</summary>
    internal bool HasOwn(LabelValues pod) => _groups.TryGetValue(labels.Select(pod), out var group) && !group.IsFolded;

    /// <summary>The pod's group, for one more interface. Nobody overtakes those that wait for series of their own.</summary>
    internal Account Acquire(LabelValues pod)
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
    /// The host's group, which has its room whatever comes; or that of pods that are shown as the host is. Null where the host has nothing at
    /// this level.
    /// </summary>
    internal Account? AcquireHost(LabelValues host)
    {
        var own = labels.Select(host);
        return plan.HostLines == 0 ? null
            : own.Values.Contains(PodLabels.HostName) ? AcquireFixed(own, isOfHost: true)
            : Acquire(host);
    }

    /// <summary>One user less. After the last nothing is counted any more: what is set aside and was not needed is free.</summary>
    internal void Release(Account group)
    {
        group.Users--;
        group.ReleasedAt = time.GetTimestamp();
        if (group is { Users: 0, IsFolded: false, Pool: { } pool })
        {
            pool.Return(group.HeldLines - group.Lines);
            group.HeldLines = group.Lines;
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

    /// <summary>Gives back the room of accounts whose removal was committed.</summary>
    internal void RemoveLeft()
    {
        foreach (var group in _leaving)
        {
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
    private void Retire(Account group)
    {
        foreach (var signal in plan.Signals)
        {
            if (signal.HasTotals)
            {
                retired.Add(group.Entry, signal.Fields);
            }
        }
        group.Entry.Remove();
    }

    private static bool IsSame(ReadOnlySpan<ulong> row, ReadOnlySpan<ulong> committed) =>
        committed.IsEmpty ? row.IndexOfAnyExcept(0ul) < 0 : row.SequenceEqual(committed);

    /// <summary>In one commit, with which what does not go on is in the total of what has left.</summary>
    private LedgerEntry Replace(LedgerEntry former, GroupKey key, (RowFields Fields, ulong[] Row)[] shown)
    {
        lock (ledger.Lock)
        {
            foreach (var signal in plan.Signals)
            {
                if (key.HasTotal(signal.Fields) && !signal.HasTotals)
                {
                    retired.Add(former, signal.Fields);
                }
            }
            former.Remove();
            var record = ledger.Open(RecordKind.Group, (key with { Totals = plan.Totals }).Write(), null);
            foreach (var (fields, row) in shown)
            {
                record.Add(fields, row);
            }
            ledger.Commit();
            return record;
        }
    }

    private bool TryAdmit(Account group)
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
        Admit(group, pods, GroupRoom.Pods);
        return true;
    }

    /// <summary>Whether it has room for all that there can be, as while it had users.</summary>
    private bool TryResume(Account group)
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

    private void Fold(Account group)
    {
        group.FoldInto(FindOther(group.Labels));
        Folded++;
    }

    /// <summary>Of those that wait, the one with the most traffic.</summary>
    private Account? FindNext()
    {
        Account? next = null;
        foreach (var group in _groups.Values)
        {
            if (group is { IsFolded: true, HasLeft: false } && (next is null || group.FoldedWeight > next.FoldedWeight))
            {
                next = group;
            }
        }
        return next;
    }

    /// <summary>The others of its namespace, or, where these have no room, the others of all.</summary>
    private Account FindOther(LabelValues own)
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
                return Add(key, namespaces, GroupRoom.Namespaces);
            }
        }
        return AcquireFixed(labels.Fold(own), isOfHost: false);
    }

    private Account AcquireFixed(LabelValues key, bool isOfHost)
    {
        if (!_groups.TryGetValue(key, out var group))
        {
            return Add(key, null, GroupRoom.Fixed, isOfHost);
        }
        group.Users++;
        return group;
    }

    private Account Add(LabelValues key, SeriesPool? pool, GroupRoom room, bool isOfHost = false)
    {
        var group = new Account(key, plan, folded) { Users = 1, IsOfHost = isOfHost };
        Admit(group, pool, room);
        _groups[key] = group;
        return group;
    }

    /// <summary>With series and a record that start at zero.</summary>
    private void Admit(Account group, SeriesPool? pool, GroupRoom room)
    {
        var key = new GroupKey(plan.Level, labels.Names, room, plan.Totals, HasTraffic: !group.IsOfHost, group.Labels);
        group.Admit(ledger.Open(RecordKind.Group, key.Write(), null), pool, plan.Lines);
    }
}
