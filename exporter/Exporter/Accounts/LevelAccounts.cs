using System.Numerics;
using Exporter.Bpf;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// The accounts of one level: which blocks each has, and where the blocks without room are counted. An account keeps its blocks while it has a user, and for the
/// retention after that. Used with the ledger's lock.
/// </summary>
/// <param name="folded">The total of counts of pods that go to another account.</param>
/// <param name="retired">The total of counts in series that were removed.</param>
internal sealed class LevelAccounts(
    LevelPlan plan, LabelSet labels, SeriesPool pool, TimeSpan retention, TimeProvider time, Ledger ledger, Totals folded, Totals retired) : IShownSeries
{
    private readonly Dictionary<LabelValues, Account> _accounts = [];

    /// <summary>How many pods, workloads or namespaces have a block.</summary>
    private int _admitted;

    public LevelPlan Plan => plan;

    /// <summary>The names of the labels that series of this level begin with.</summary>
    public IReadOnlyList<string> LabelNames => labels.Names;

    /// <summary>Sample lines of all blocks that accounts have.</summary>
    public int Lines { get; private set; }

    /// <summary>The accounts that have a block.</summary>
    public List<Account> FindShown() => [.. _accounts.Values.Where(account => account.Blocks != 0)];

    /// <summary>How many blocks of pods of this kind wait for room.</summary>
    internal int CountWaiting(string kind)
    {
        var (blocks, count) = (plan.BlocksOf(kind), 0);
        foreach (var account in _accounts.Values)
        {
            count += account.Room == GroupRoom.Pods ? BitOperations.PopCount(account.Waiting & blocks) : 0;
        }
        return count;
    }

    /// <summary>The pod's account, for one more interface.</summary>
    internal Account Acquire(LabelValues pod) => Use(labels.Select(pod), GroupRoom.Pods);

    /// <summary>
    /// The host's account, whose room is set aside; or the account of pods with the same labels as the host. Null where the host has no blocks at
    /// this level.
    /// </summary>
    internal Account? AcquireHost(LabelValues host)
    {
        var own = labels.Select(host);
        return plan.HostBlocks == 0 ? null
            : own.Values.Contains(PodLabels.HostName) ? Use(own, GroupRoom.Fixed, isHost: true)
            : Acquire(host);
    }

    /// <summary>
    /// The account of an interface of the node, whose room is set aside. Where as many accounts as have room are there, the one that has been without a user for
    /// longest is retired.
    /// </summary>
    internal Account AcquireInterface(LabelValues name)
    {
        if (!_accounts.ContainsKey(name) && _accounts.Count >= plan.Reserved
            && _accounts.Where(entry => entry.Value.Users == 0).OrderBy(entry => entry.Value.ReleasedAt).FirstOrDefault() is { Value: not null } last)
        {
            RetireInterface(last.Key);
        }
        return Use(name, GroupRoom.Fixed);
    }

    /// <summary>Retires the account of an interface that nothing uses: another has its name now.</summary>
    internal void RetireInterface(LabelValues name)
    {
        if (_accounts.TryGetValue(name, out var account) && account.Users == 0)
        {
            Retire(account);
            _accounts.Remove(name);
        }
    }

    /// <summary>One user less. After the last nothing more is counted.</summary>
    internal void Release(Account account)
    {
        account.Users--;
        account.ReleasedAt = time.GetTimestamp();
    }

    /// <summary>Adds each block of a row to the account, or where it has no room to the account of the others.</summary>
    internal void Add(Account account, RowFields fields, ReadOnlySpan<ulong> row)
    {
        var signal = plan.PlanOf(fields);
        var counted = signal.FindCounted(row) & BlocksFor(account);
        TryAdmit(account, counted & ~(account.Blocks | account.Waiting), isWaiting: false);
        Span<ulong> part = stackalloc ulong[row.Length];
        if ((counted & account.Blocks) is not 0 and var own)
        {
            signal.Select(row, own, part);
            account.Entry!.Add(fields, part);
        }
        if ((counted & ~account.Blocks) is not 0 and var rest)
        {
            signal.Select(row, rest, part);
            account.Wait(rest, plan.Blocks, part);
            if (account.Room == GroupRoom.Pods && signal.HasTotals)
            {
                folded.Add(fields, part);
            }
            Add(account.Other ??= FindOther(account), fields, part);
        }
    }

    /// <summary>Removes accounts that nothing has used for the retention. Allocates only when something changes, as the next one.</summary>
    internal void Expire()
    {
        foreach (var (key, account) in _accounts)
        {
            if (account.Users > 0)
            {
                continue;
            }
            StopWaiting(account, plan.AllBlocks);
            if (account.Blocks == 0 || time.GetElapsedTime(account.ReleasedAt) >= retention)
            {
                Retire(account);
                // Removing does not disturb the enumeration of a Dictionary.
                _accounts.Remove(key);
            }
        }
    }

    /// <summary>Gives room to blocks that wait: blocks of one kind by their weight. A block that does not fit does not stop a smaller one of another
    /// kind.</summary>
    internal void AdmitWaiting(GroupRoom room)
    {
        var waiting = 0ul;
        foreach (var account in _accounts.Values)
        {
            waiting |= account.Room == room ? account.Waiting : 0;
        }
        while (waiting != 0)
        {
            var block = Block.TakeFirst(ref waiting);
            while (FindNext(room, block) is { } next && TryAdmit(next, 1ul << block, isWaiting: true))
            {
            }
        }
    }

    /// <summary>
    /// Continues an account of a previous process, which has no users yet, with the blocks that it had. Counts that cannot be shown here are retired.
    /// </summary>
    /// <returns>Whether it is of this level, and has a block.</returns>
    internal bool TryRestore(GroupKey key, LedgerEntry entry)
    {
        if (key.Level != plan.Level || !key.LabelNames.SequenceEqual(labels.Names) || _accounts.ContainsKey(key.Labels))
        {
            return false;
        }
        var known = key.Totals is null ? key with { Totals = plan.Totals } : key;
        var account = new Account(key.Labels, key.Room, key.IsHost) { ReleasedAt = time.GetTimestamp() };
        var counted = 0ul;
        foreach (var signal in plan.Signals)
        {
            counted |= signal.FindCounted(ReadShown(signal, known, entry));
        }
        if (!TryTake(account, counted & BlocksFor(account), isWaiting: true))
        {
            return false;
        }
        account.Entry = Continue(account, known, ledger.Open(RecordKind.Group, entry.Key, null));
        _accounts[key.Labels] = account;
        return true;
    }

    /// <summary>Gives the account the ones of these blocks that have room. They begin at zero.</summary>
    /// <returns>Whether it has got one.</returns>
    private bool TryAdmit(Account account, ulong blocks, bool isWaiting)
    {
        if (!TryTake(account, blocks, isWaiting))
        {
            return false;
        }
        account.Entry ??= Open(account);
        StopWaiting(account, account.Blocks);
        return true;
    }

    /// <param name="isWaiting">Whether the blocks have waited, or were there before a restart.</param>
    private bool TryTake(Account account, ulong blocks, bool isWaiting)
    {
        var (isFirst, taken) = (account.Blocks == 0, 0ul);
        if (!MayHaveBlocks(account))
        {
            return false;
        }
        while (blocks != 0)
        {
            var number = Block.TakeFirst(ref blocks);
            taken |= pool.TryTake(account.Room, plan.Blocks[number].Lines, isWaiting) ? 1ul << number : 0;
        }
        if (taken == 0)
        {
            return false;
        }
        Lines += plan.CountLines(taken);
        account.Blocks |= taken;
        _admitted += isFirst && account.Room == GroupRoom.Pods ? 1 : 0;
        return true;
    }

    private bool MayHaveBlocks(Account account) => account.Blocks != 0 || account.Room != GroupRoom.Pods || _admitted < pool.MaxPods;

    private ulong BlocksFor(Account account) => account.IsHost ? plan.HostBlocks : plan.AllBlocks;

    /// <summary>The account with the greatest weight among those that wait for the block.</summary>
    private Account? FindNext(GroupRoom room, int block)
    {
        Account? next = null;
        foreach (var account in _accounts.Values)
        {
            if (account.Room == room && (account.Waiting & (1ul << block)) != 0 && MayHaveBlocks(account) && (next is null || account.WeightOf(block) > next.WeightOf(block)))
            {
                next = account;
            }
        }
        return next;
    }

    private void StopWaiting(Account account, ulong blocks)
    {
        account.StopWaiting(blocks);
        if (account is { Waiting: 0, Other: { } other })
        {
            Release(other);
            account.Other = null;
        }
    }

    /// <summary>The account of the others in its namespace, or of all others, which has room for every block.</summary>
    private Account FindOther(Account account) => account.Room == GroupRoom.Pods && labels.FoldInNamespace(account.Labels) is { } inNamespace
        ? Use(inNamespace, GroupRoom.Namespaces)
        : Use(labels.Fold(account.Labels), GroupRoom.Fixed);

    private Account Use(LabelValues key, GroupRoom room, bool isHost = false)
    {
        if (!_accounts.TryGetValue(key, out var account))
        {
            _accounts[key] = account = new(key, room, isHost);
        }
        account.Users++;
        return account;
    }

    /// <summary>A record that starts at zero.</summary>
    private LedgerEntry Open(Account account) => ledger.Open(RecordKind.Group, KeyOf(account), null);

    private byte[] KeyOf(Account account) => new GroupKey(plan.Level, labels.Names, account.Room, plan.Totals, account.IsHost, account.Labels).Write();

    /// <summary>One commit removes the record and adds its counts to the total of retired ones.</summary>
    private void Retire(Account account)
    {
        if (account.Entry is null)
        {
            return;
        }
        foreach (var signal in plan.Signals)
        {
            if (signal.HasTotals)
            {
                retired.Add(account.Entry, signal.Fields);
            }
        }
        account.Entry.Remove();
        var lines = plan.CountLines(account.Blocks);
        pool.Return(account.Room, lines);
        Lines -= lines;
        _admitted -= account.Room == GroupRoom.Pods ? 1 : 0;
    }

    /// <summary>The record of a previous process, or where it has more than the account's blocks another one, and the rest is retired.</summary>
    private LedgerEntry Continue(Account account, GroupKey key, LedgerEntry record)
    {
        if (record.Key.AsSpan().SequenceEqual(KeyOf(account)) && IsShown(account, key, record))
        {
            return record;
        }
        record.Remove();
        var next = Open(account);
        foreach (var signal in plan.Signals)
        {
            var (row, part) = (ReadShown(signal, key, record), new ulong[signal.Fields.Count]);
            signal.Select(row, account.Blocks, part);
            if (part.AsSpan().ContainsAnyExcept(0ul))
            {
                next.Add(signal.Fields, part);
            }
            if (key.HasTotal(signal.Fields))
            {
                record.ReadTotal(signal.Fields, row);
                signal.Fit(row);
                for (var field = 0; field < row.Length; field++)
                {
                    row[field] -= part[field];
                }
                retired.Add(signal.Fields, row);
            }
        }
        ledger.Commit();
        return next;
    }

    /// <summary>Whether the account's blocks show all that the record has, as it is.</summary>
    private bool IsShown(Account account, GroupKey key, LedgerEntry record)
    {
        foreach (var signal in plan.Signals)
        {
            var row = ReadShown(signal, key, record);
            var committed = record.ReadCommitted(signal.Fields);
            signal.Select(row, account.Blocks, row);
            if (committed.IsEmpty ? row.AsSpan().ContainsAnyExcept(0ul) : !committed.SequenceEqual(row))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>The counts of a record that this level continues to show; the record may have had other columns: all zero where the signal's totals
    /// were elsewhere.</summary>
    private static ulong[] ReadShown(LevelPlan.SignalPlan signal, GroupKey key, LedgerEntry entry)
    {
        var row = new ulong[signal.Fields.Count];
        if (key.HasTotal(signal.Fields) == signal.HasTotals)
        {
            entry.ReadTotal(signal.Fields, row);
            signal.Fit(row);
        }
        return row;
    }
}
