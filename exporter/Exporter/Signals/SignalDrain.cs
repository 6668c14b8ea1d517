using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>Moves the counts of one signal from the kernel to the accounts of pods, in one session.</summary>
internal abstract class SignalDrain(RowFields fields)
{
    private long _started;
    private long _completed;
    private bool _isUnfinished;
    private bool _hurries;
    private int _waiting;

    /// <summary>Drains come from a drain loop, and for signals by interface also from the reconciler.</summary>
    private readonly Lock _lock = new();

    /// <summary>Of its rows; their name is the signal's.</summary>
    internal RowFields Fields => fields;

    /// <summary>Between two drains. May change during the session.</summary>
    internal abstract TimeSpan Interval { get; }

    /// <summary>Whether its rows are counted by interface: an index is free for another interface only after a drain.</summary>
    internal virtual bool IsByInterface => false;

    /// <summary>A sentence about all that the session has counted, for the log; null: none.</summary>
    internal virtual string? Summary => null;

    /// <summary>Whether its rows stay in the kernel for one more drain, for the next process: until then they have to find their owners.</summary>
    internal virtual bool KeepsRows => false;

    /// <summary>A loop of the signal's own, from the session's start to its end; null: it has none.</summary>
    internal virtual BackgroundService? Loop => null;

    /// <summary>Whether its drains may last: they have a loop of their own, whatever the interval is.</summary>
    internal virtual bool HasOwnLoop => false;

    /// <summary>Ends when the first drain of the session may begin. The last one, and one that an interface needs, do not wait for it.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    internal virtual Task WaitToBeginAsync(CancellationToken cancelled) => Task.CompletedTask;

    /// <summary>Takes the results of drains: it starts before the first, and ends after the last; null: there is none.</summary>
    internal virtual BackgroundService? Output => null;

    /// <summary>
    /// How many drains have begun. Everything that was counted before this was read is with its pod once <see cref="Completed"/> is greater.
    /// </summary>
    internal long Started => Volatile.Read(ref _started);

    /// <summary>The number of the last drain that has ended well.</summary>
    internal long Completed => Volatile.Read(ref _completed);

    /// <summary>Whether another drain, or a caller with other work, waits for the one that runs. Asked by that one.</summary>
    private protected bool IsAwaited => _hurries || Volatile.Read(ref _waiting) > 0;

    /// <summary>Reads, commits and releases.</summary>
    /// <exception cref="BpfException">
    /// Rows could not be read, or not be released. Rows that were read are committed; the others stay in the kernel for the next drain.
    /// </exception>
    internal void Drain() => Drain(hurries: false);

    /// <inheritdoc cref="Drain()"/>
    /// <param name="hurries">Whether the caller has other work that waits: this drain waits for the kernel alone.</param>
    internal void Drain(bool hurries)
    {
        Interlocked.Increment(ref _waiting);
        lock (_lock)
        {
            Interlocked.Decrement(ref _waiting);
            _hurries = hurries;
            if (!_isUnfinished)
            {
                Volatile.Write(ref _started, _started + 1);
            }
            _isUnfinished = true;
            DrainRows();
            _isUnfinished = false;
            Volatile.Write(ref _completed, _started);
            OnDrained();
        }
    }

    /// <summary>Releases rows that are committed and were kept in the kernel (<see cref="SignalDrain{TKey, TValue, TOwner}.ReleasesLate"/>).</summary>
    /// <exception cref="BpfException">Some are still there; the next drain removes them.</exception>
    internal void Release()
    {
        lock (_lock)
        {
            ReleaseKept();
        }
    }

    /// <summary>Continues with the counts that a previous process, or session, has held for owners without a pod.</summary>
    /// <param name="restored">The interfaces that it has counted.</param>
    internal abstract void Restore(IReadOnlyList<PodInterface> restored);

    /// <summary>The programs of a previous process are replaced on every interface.</summary>
    internal abstract void EndPrevious();

    private protected abstract void DrainRows();

    private protected abstract void ReleaseKept();

    /// <summary>Called after each drain that ended well, with no other running.</summary>
    private protected virtual void OnDrained()
    {
    }
}

/// <inheritdoc/>
/// <typeparam name="TKey">The key of a row.</typeparam>
/// <typeparam name="TValue">A row: 64-bit counters only.</typeparam>
/// <typeparam name="TOwner">Identifies the owner that counts are held for until its pod is known.</typeparam>
/// <param name="fit">Puts a row that was counted with earlier settings in the ranges of these; null: nothing depends on settings.</param>
internal abstract class SignalDrain<TKey, TValue, TOwner>(
    RowFields fields, IRowSource<TKey, TValue> source, IRowOwners<TKey, TOwner> owners, SessionContext context, Action<Span<ulong>>? fit = null)
    : SignalDrain(fields)
    where TKey : unmanaged
    where TValue : unmanaged
    where TOwner : notnull
{
    private readonly PendingCounts<TOwner> _pending = new(context.Ledger, fields, owners.NumberOf, context.Time, context.HoldFor);
    private readonly ulong[] _row = new ulong[fields.Count];
    private readonly Func<TOwner, IPodAccount?> _findAccount = owners.FindAccount;
    private PendingCounts<TOwner>.Crediter? _credit;
    private PendingCounts<TOwner>.Taker? _giveUp;
    private bool _isKept;

    private protected SessionContext Context => context;

    internal override TimeSpan Interval => context.Interval;

    /// <summary>
    /// Whether rows stay in the kernel after their commit, until <see cref="SignalDrain.Release"/> or the next drain: a process that is killed
    /// before finds them again, and credits them to no account twice.
    /// </summary>
    internal virtual bool ReleasesLate => false;

    /// <summary>Are given each row after its commit.</summary>
    internal List<IRowObserver> Observers { get; } = [];

    internal override void Restore(IReadOnlyList<PodInterface> restored)
    {
        lock (context.Ledger.Lock)
        {
            foreach (var entry in context.Ledger.FindRestored(RecordKind.Held, Fields))
            {
                if (owners.TryRestore(RecordKey.ReadNumber(entry.Key), restored, out var owner))
                {
                    _pending.Restore(owner);
                }
                else
                {
                    context.Accounts.Unattributed.Add(entry, Fields);
                    context.Ledger.Open(RecordKind.Held, entry.Key, null).Remove();
                }
            }
            context.Ledger.Commit();
        }
    }

    internal override void EndPrevious() => source.EndPrevious();

    private protected sealed override void DrainRows()
    {
        ReleaseKept();
        for (var isLast = false; !isLast;)
        {
            var rows = source.Read(out var read);
            isLast = read.IsLast;
            lock (context.Ledger.Lock)
            {
                if (!read.IsCommitted)
                {
                    Credit(rows, read.IsPrevious);
                }
                context.Ledger.Commit(read.Map is { } map ? [map] : []);
            }
            Observe(rows, read);
            if (ReleasesLate && isLast)
            {
                source.Keep();
                _isKept = true;
            }
            else
            {
                source.Release();
            }
        }
    }

    private protected sealed override void ReleaseKept()
    {
        if (_isKept)
        {
            _isKept = false;
            source.Release();
        }
    }

    /// <summary>Credits a row to its owner: to the account of its pod, or held until that is known. Called with the ledger's lock.</summary>
    private protected void Credit(in TKey key, ReadOnlySpan<ulong> row)
    {
        if (!owners.TryFind(key, out var owner))
        {
            context.Accounts.Unattributed.Add(Fields, row);
            return;
        }
        OnCounted(owner, row);
        if (owners.FindAccount(owner) is { } account)
        {
            Credit(account, row);
        }
        else if (_pending.TryHold(owner) is { } held)
        {
            held.Add(Fields, row);
        }
        else
        {
            context.Accounts.CountUnheld(Fields);
            context.Accounts.Unattributed.Add(Fields, row);
        }
    }

    /// <summary>Hands over counts whose pod is known now, and those whose wait is over: their owner may be gone by then. Called with the ledger's lock.</summary>
    private protected void Flush()
    {
        _credit ??= CreditHeld;
        _giveUp ??= held => context.Accounts.Unattributed.Add(Fields, held);
        _pending.Flush(_findAccount, _credit, _giveUp);
    }

    /// <summary>Adds a row to an account. Called with the ledger's lock.</summary>
    private protected virtual void Credit(IPodAccount account, ReadOnlySpan<ulong> row) => account.Add(Fields, row);

    /// <summary>A row of this owner was counted, whether its pod is known or not. Called with the ledger's lock.</summary>
    private protected virtual void OnCounted(TOwner owner, ReadOnlySpan<ulong> row)
    {
    }

    private void Credit(ReadOnlySpan<DrainedRow<TKey, TValue>> rows, bool isPrevious)
    {
        foreach (ref readonly var row in rows)
        {
            Credit(row.Key, isPrevious ? Fit(RowFields.RowOf(row.Value)) : RowFields.RowOf(row.Value));
        }
        Flush();
    }

    /// <summary>A previous process may have held it with earlier settings.</summary>
    private void CreditHeld(IPodAccount account, ReadOnlySpan<ulong> held) => Credit(account, Fit(held));

    private ReadOnlySpan<ulong> Fit(ReadOnlySpan<ulong> row)
    {
        if (fit is null)
        {
            return row;
        }
        row.CopyTo(_row);
        fit(_row);
        return _row;
    }

    private void Observe(ReadOnlySpan<DrainedRow<TKey, TValue>> rows, in RowsRead read)
    {
        if (Observers.Count == 0)
        {
            return;
        }
        var drained = new DrainedRows(Fields, Started, context.Time.GetUtcNow(), read.IsCommitted);
        foreach (ref readonly var row in rows)
        {
            var key = row.Key;
            var found = owners.FindInterface(key);
            foreach (var observer in Observers)
            {
                observer.Observe(drained, MemoryMarshal.AsBytes(new ReadOnlySpan<TKey>(in key)), found, RowFields.RowOf(row.Value));
            }
        }
    }
}
