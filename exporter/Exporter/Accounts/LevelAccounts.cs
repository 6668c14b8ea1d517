using Exporter.Bpf;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// The accounts of one level: which have a record of their own, and which are folded into another. An account keeps its record while it has a user.
/// Used by <see cref="PodAccounts"/> under its lock.
/// </summary>
/// <param name="folded">The total of counts that go to another account.</param>
/// <param name="retired">The total of counts in series that were removed.</param>
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
    private readonly Dictionary<LabelValues, Account> _accounts = [];

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
            foreach (var account in _accounts.Values)
            {
                lines += account.Lines;
            }
            foreach (var account in _leaving)
            {
                lines += account.Lines;
            }
            return lines;
        }
    }

    /// <summary>The accounts that have records of their own; also those whose records the next commit removes.</summary>
    internal List<Account> FindShown() => [.. _accounts.Values.Where(account => !account.IsFolded), .. _leaving];

    /// <summary>Accounts that have no series of their own.</summary>
    internal int Folded { get; private set; }

    /// <summary>
    /// Continues an account of a previous process, which has no users yet. Counts that cannot be shown here are retired.
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
        var known = key.Totals is null ? key with { Totals = plan.Totals } : key;
        var shown = plan.FindShown(known, entry);
        var lines = shown.Sum(signal => plan.PlanOf(signal.Fields).CountLines(signal.Row));
        if (pool is not null && ((pool == pods && _admitted >= maxPods) || !pool.TryTake(lines)))
        {
            return false;
        }
        var record = ledger.Open(RecordKind.Group, entry.Key, null);
        if (key.Totals?.SequenceEqual(plan.Totals) != true || shown.Any(signal => !IsSame(signal.Row, record.ReadCommitted(signal.Fields))))
        {
            record = Replace(record, known, shown);
        }
        var account = new Account(key.Labels, plan, folded) { ReleasedAt = time.GetTimestamp(), IsOfHost = key.IsHost };
        account.Admit(record, pool, pool is null ? plan.Lines : lines);
        _admitted += pool == pods ? 1 : 0;
        _accounts[key.Labels] = account;
        return true;
    }

    /// <summary>Whether the pod's account has series of its own.</summary>
    internal bool HasOwn(LabelValues pod) => _accounts.TryGetValue(labels.Select(pod), out var account) && !account.IsFolded;

    /// <summary>The pod's account, for one more interface. A new one does not overtake those that wait for series of their own.</summary>
    internal Account Acquire(LabelValues pod)
    {
        var own = labels.Select(pod);
        if (!_accounts.TryGetValue(own, out var account))
        {
            _accounts[own] = account = new(own, plan, folded);
            if (Folded > 0 || !TryAdmit(account))
            {
                Fold(account);
            }
        }
        else if (!TryResume(account))
        {
            _leaving.Add(account);
            _accounts[own] = account = new(own, plan, folded) { HasLeft = true };
            Fold(account);
        }
        account.Users++;
        return account;
    }

    /// <summary>
    /// The host's account, whose room is set aside; or the account of pods with the same labels as the host. Null where the host has no columns at
    /// this level.
    /// </summary>
    internal Account? AcquireHost(LabelValues host)
    {
        var own = labels.Select(host);
        return plan.HostLines == 0 ? null
            : own.Values.Contains(PodLabels.HostName) ? AcquireFixed(own, isOfHost: true)
            : Acquire(host);
    }

    /// <summary>One user less. After the last nothing more is counted, so room that was set aside and not needed is free.</summary>
    internal void Release(Account account)
    {
        account.Users--;
        account.ReleasedAt = time.GetTimestamp();
        if (account is { Users: 0, IsFolded: false, Pool: { } pool })
        {
            pool.Return(account.HeldLines - account.Lines);
            account.HeldLines = account.Lines;
        }
    }

    /// <summary>Expires accounts unused for longer than the retention, and accounts whose room was given away. Allocates only when something changes, as the next two methods.</summary>
    internal void Expire()
    {
        foreach (var (key, account) in _accounts)
        {
            if (account.Users > 0)
            {
                continue;
            }
            if (account.Into is { } other)
            {
                Release(other);
                Folded--;
                _accounts.Remove(key);
            }
            else if (time.GetElapsedTime(account.ReleasedAt) >= retention)
            {
                _accounts.Remove(key);
                _leaving.Add(account);
            }
        }
        lock (ledger.Lock)
        {
            foreach (var account in _leaving)
            {
                Retire(account);
            }
        }
    }

    /// <summary>Gives back the room of accounts whose removal was committed.</summary>
    internal void RemoveLeft()
    {
        foreach (var account in _leaving)
        {
            account.Pool?.Return(account.HeldLines);
            _admitted -= account.Pool == pods ? 1 : 0;
        }
    }

    /// <summary>Admits waiting accounts. One whose previous series were removed in this round waits one more: they would seem to go back to zero.</summary>
    internal void AdmitWaiting()
    {
        while (Folded > 0 && FindNext() is { } next && TryAdmit(next))
        {
        }
        foreach (var left in _leaving)
        {
            if (_accounts.TryGetValue(left.Labels, out var account))
            {
                account.HasLeft = false;
            }
        }
        _leaving.Clear();
    }

    /// <summary>One commit removes the record and adds its counts to the total of retired ones.</summary>
    private void Retire(Account account)
    {
        foreach (var signal in plan.Signals)
        {
            if (signal.HasTotals)
            {
                retired.Add(account.Entry, signal.Fields);
            }
        }
        account.Entry.Remove();
    }

    private static bool IsSame(ReadOnlySpan<ulong> row, ReadOnlySpan<ulong> committed) =>
        committed.IsEmpty ? row.IndexOfAnyExcept(0ul) < 0 : row.SequenceEqual(committed);

    /// <summary>One commit writes the record that continues and adds the other counts to the total of retired ones.</summary>
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

    private bool TryAdmit(Account account)
    {
        if (_admitted >= maxPods || !pods.TryTake(plan.Lines))
        {
            return false;
        }
        _admitted++;
        if (account.Into is { } other)
        {
            Release(other);
            Folded--;
        }
        Admit(account, pods, GroupRoom.Pods);
        return true;
    }

    /// <summary>Whether it has room for all its lines again, as while it had users.</summary>
    private bool TryResume(Account account)
    {
        if (account.Pool is { } pool && !account.IsFolded && account.HeldLines < plan.Lines)
        {
            if (!pool.TryTake(plan.Lines - account.HeldLines))
            {
                return false;
            }
            account.HeldLines = plan.Lines;
        }
        return true;
    }

    private void Fold(Account account)
    {
        account.FoldInto(FindOther(account.Labels));
        Folded++;
    }

    /// <summary>The waiting account with the most traffic.</summary>
    private Account? FindNext()
    {
        Account? next = null;
        foreach (var account in _accounts.Values)
        {
            if (account is { IsFolded: true, HasLeft: false } && (next is null || account.FoldedWeight > next.FoldedWeight))
            {
                next = account;
            }
        }
        return next;
    }

    /// <summary>The account of the others in its namespace, or where these have no room, of all others.</summary>
    private Account FindOther(LabelValues own)
    {
        if (labels.FoldInNamespace(own) is { } key)
        {
            if (_accounts.TryGetValue(key, out var found))
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
        if (!_accounts.TryGetValue(key, out var account))
        {
            return Add(key, null, GroupRoom.Fixed, isOfHost);
        }
        account.Users++;
        return account;
    }

    private Account Add(LabelValues key, SeriesPool? pool, GroupRoom room, bool isOfHost = false)
    {
        var account = new Account(key, plan, folded) { Users = 1, IsOfHost = isOfHost };
        Admit(account, pool, room);
        _accounts[key] = account;
        return account;
    }

    /// <summary>With a record that starts at zero.</summary>
    private void Admit(Account account, SeriesPool? pool, GroupRoom room)
    {
        var key = new GroupKey(plan.Level, labels.Names, room, plan.Totals, account.IsOfHost, account.Labels);
        account.Admit(ledger.Open(RecordKind.Group, key.Write(), null), pool, plan.Lines);
    }
}
