using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.State;

namespace Exporter.Traffic;

/// <summary>Fetches what the kernel counted. The seam behind which the maps are.</summary>
internal interface ITrafficSource
{
    /// <summary>What was counted since the last call that was followed by <see cref="Clear"/>; valid until the next.</summary>
    /// <param name="kept">What is to be committed with it.</param>
    /// <param name="isLast">Whether it is everything; if not, another call follows.</param>
    ReadOnlySpan<DrainedRow<TrafficKey, TrafficValue>> Read(out CommittedMap kept, out bool isLast);

    /// <summary>What was read is committed, and need not be read again.</summary>
    void Clear();

    /// <summary>What could not be counted, since the programs were loaded.</summary>
    Loss ReadLoss(LossReason reason);

    /// <summary>The programs of a former process are replaced: what they have counted is to be read once more, and then forgotten.</summary>
    void EndFormer();
}

/// <inheritdoc/>
internal sealed class KernelTrafficSource(PodTrafficPrograms programs) : ITrafficSource
{
    private readonly DrainSequence<TrafficKey, TrafficValue> _drains = new(
        programs.Traffic, number => number < programs.Former.Count ? programs.Former[number] : null, programs.RemoveFormer);

    private bool _isEnding;
    private bool _isLastTime;

    public ReadOnlySpan<DrainedRow<TrafficKey, TrafficValue>> Read(out CommittedMap kept, out bool isLast)
    {
        if (_drains.Number == 0)
        {
            // Before the maps are swapped: then nothing can come after what is read now.
            _isLastTime = Volatile.Read(ref _isEnding);
        }
        return _drains.Read(out kept, out isLast);
    }

    public void Clear() => _drains.Clear(_isLastTime);

    public void EndFormer() => Volatile.Write(ref _isEnding, true);

    public Loss ReadLoss(LossReason reason) => programs.Losses.Read((int)reason);
}

/// <summary>
/// Takes the drained rows to the series of the pods they belong to. Rows of an interface whose pod is not known yet are held
/// until it is, or until the wait is over.
/// </summary>
internal sealed class TrafficReader(
    ITrafficSource source, PodTable pods, AccountMetrics accounts, DrainMetrics drains, TrafficLosses losses, Ledger ledger, TimeProvider time, IdentityOptions options)
{
    private static readonly LossReason[] LossReasons = Enum.GetValues<LossReason>();

    private readonly PendingCounts<PodInterface> _held = new(ledger, RecordKind.HeldTraffic, TrafficValue.Fields, static owner => (ulong)owner.Generation, time, options.HoldFor);

    /// <summary>Drains come from the drain loop, and in a rare case from the reconciler.</summary>
    private readonly Lock _lock = new();

    private PendingCounts<PodInterface>.Crediter? _credit;
    private PendingCounts<PodInterface>.Taker? _giveUp;
    private bool _unfinished;
    private long _started;
    private long _completed;

    /// <summary>
    /// How many drains have begun. What was counted before this was read is with its pod once <see cref="Completed"/> is greater.
    /// </summary>
    internal long Started => Volatile.Read(ref _started);

    /// <summary>The number of the last drain that has ended well.</summary>
    internal long Completed => Volatile.Read(ref _completed);

    /// <summary>Everything credited since the start, in packets and bytes of both directions.</summary>
    internal (ulong Packets, ulong Bytes) Credited { get; private set; }

    /// <summary>Reads, commits and clears.</summary>
    /// <exception cref="BpfException">
    /// Something could not be read, or not be cleared. What was read is committed; the rest stays in the kernel for the next drain.
    /// </exception>
    internal void Drain()
    {
        lock (_lock)
        {
            if (!_unfinished)
            {
                _started++;
            }
            _unfinished = true;
            var started = time.GetTimestamp();
            for (var isLast = false; !isLast;)
            {
                var rows = source.Read(out var kept, out isLast);
                lock (ledger.Lock)
                {
                    Credit(rows);
                    ledger.Commit([kept]);
                }
                source.Clear();
            }
            _unfinished = false;
            Volatile.Write(ref _completed, _started);
            drains.Duration.Observe(time.GetElapsedTime(started).TotalSeconds);
            foreach (var reason in LossReasons)
            {
                losses.Set(reason, source.ReadLoss(reason));
            }
        }
    }

    /// <summary>Goes on holding what a former process has held.</summary>
    /// <param name="find">The interface of this generation, or null where there is none.</param>
    internal void Restore(Func<long, PodInterface?> find)
    {
        lock (ledger.Lock)
        {
            foreach (var entry in ledger.FindRestored(RecordKind.HeldTraffic))
            {
                if (find((long)RecordKey.ReadNumber(entry.Key)) is { } owner)
                {
                    _held.Restore(owner);
                }
                else
                {
                    accounts.Unattributed.Add(entry, TrafficValue.Fields);
                    ledger.Open(RecordKind.HeldTraffic, entry.Key, null).Remove();
                }
            }
            ledger.Commit();
        }
    }

    private void Credit(ReadOnlySpan<DrainedRow<TrafficKey, TrafficValue>> rows)
    {
        // Taken after the rows: an interface is in the table before its first packet can be counted.
        var table = pods.Current;
        foreach (ref readonly var row in rows)
        {
            if (table.TryGetValue(row.Key.Ifindex, out var owner))
            {
                owner.Count(row.Value);
                if (owner.Counts is { } counts)
                {
                    Credit(counts, row.Value);
                }
                else if (_held.TryHold(owner) is { } held)
                {
                    held.Add(TrafficValue.Fields, RowFields.RowOf(row.Value));
                }
                else
                {
                    accounts.CountUnheld(TrafficValue.Fields);
                    accounts.Unattributed.Add(TrafficValue.Fields, RowFields.RowOf(row.Value));
                }
            }
            else
            {
                accounts.Unattributed.Add(TrafficValue.Fields, RowFields.RowOf(row.Value));
            }
        }
        // An interface may be gone by the time that its pod becomes known: its traffic is still that pod's.
        _credit ??= (owner, held) => Credit(owner, RowFields.ValueOf<TrafficValue>(held));
        _giveUp ??= held => accounts.Unattributed.Add(TrafficValue.Fields, held);
        _held.Settle(static owner => owner.Counts, _credit, _giveUp);
    }

    private void Credit(IPodAccount counts, in TrafficValue traffic)
    {
        counts.Add(TrafficValue.Fields, RowFields.RowOf(traffic));
        var (transmitted, received) = (traffic.Transmit.Total, traffic.Receive.Total);
        Credited = (Credited.Packets + transmitted.Packets + received.Packets, Credited.Bytes + transmitted.Bytes + received.Bytes);
    }
}
