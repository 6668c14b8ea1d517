using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.State;

namespace Exporter.Handshakes;

/// <summary>Fetches the handshakes that the kernel counted. The seam behind which the maps are.</summary>
internal interface IHandshakeSource
{
    /// <summary>What was counted since the last call that was followed by <see cref="Clear"/>; valid until the next.</summary>
    /// <param name="kept">What is to be committed with it.</param>
    /// <param name="bounds">Those that the durations were counted by, in nanoseconds; null: the options'.</param>
    /// <param name="isLast">Whether it is everything; if not, another call follows.</param>
    ReadOnlySpan<DrainedRow<HandshakeKey, HandshakeValue>> Read(out CommittedMap kept, out IReadOnlyList<ulong>? bounds, out bool isLast);

    /// <summary>What was read is committed, and need not be read again.</summary>
    void Clear();

    /// <summary>What could not be counted, since the programs were loaded.</summary>
    ulong ReadLoss(HandshakeLoss reason);

    /// <summary>
    /// Attaches a second program if the kernel skips the first, which ends that. Returns how many changes of sockets' states were missed before; valid
    /// until the next call.
    /// </summary>
    ReadOnlySpan<MissedChanges> ReadMissed();

    /// <summary>The misses that were read are committed.</summary>
    void ForgetMissed();

    /// <summary>The handshakes that are being sent again; valid until the next call.</summary>
    ReadOnlySpan<DrainedRow<HandshakeFlow, HandshakeLate>> ReadLate();

    /// <summary>Forgets one of them. Returns whether it was still there.</summary>
    bool RemoveLate(in HandshakeFlow flow);
}

/// <inheritdoc/>
internal sealed class KernelHandshakeSource(TcpHandshakePrograms programs) : IHandshakeSource
{
    private readonly DrainSequence<HandshakeKey, HandshakeValue> _drains = new(
        programs.Handshakes, number => number < programs.Former.Count ? programs.Former[number].Handshakes : null, programs.RemoveFormer);

    public ReadOnlySpan<DrainedRow<HandshakeKey, HandshakeValue>> Read(out CommittedMap kept, out IReadOnlyList<ulong>? bounds, out bool isLast)
    {
        var rows = _drains.Read(out kept, out isLast);
        bounds = _drains.Number < programs.Former.Count ? programs.Former[_drains.Number].Bounds : null;
        return rows;
    }

    /// <summary>Nobody counts into the former since these were activated.</summary>
    public void Clear() => _drains.Clear(isEnd: true);

    public ulong ReadLoss(HandshakeLoss reason) => programs.Losses.Read((int)reason);

    public ReadOnlySpan<MissedChanges> ReadMissed() => programs.ReadMissed();

    public void ForgetMissed() => programs.ForgetMissed();

    public ReadOnlySpan<DrainedRow<HandshakeFlow, HandshakeLate>> ReadLate() => programs.Late.Read();

    public bool RemoveLate(in HandshakeFlow flow) => programs.Late.Remove(flow);
}

/// <summary>
/// Takes the drained handshakes to the series of the pods in whose network namespace they were. Those of a namespace whose pod is not
/// known yet are held until it is, or until the wait is over. Used by the drain loop alone.
/// </summary>
internal sealed class HandshakeReader(
    IHandshakeSource source,
    PodTable pods,
    AccountMetrics accounts,
    HandshakeLosses losses,
    Ledger ledger,
    TimeProvider time,
    IdentityOptions options,
    HandshakeOptions handshakeOptions)
{
    private const ulong Client = 0;
    private const ulong Server = 1;
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    private static readonly HandshakeLoss[] Reasons = Enum.GetValues<HandshakeLoss>();

    /// <summary>Reading them takes a moment in which the kernel skips kprobes' programs on this CPU.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly PendingCounts<ulong> _held = new(ledger, RecordKind.HeldHandshakes, HandshakeValue.Fields, static network => network, time, options.HoldFor);
    private readonly Func<ulong, IPodAccount?> _findCounts = network => FindCounts(pods, network);
    /// <summary>A former process may have held them by other bounds.</summary>
    private readonly PendingCounts<ulong>.Crediter _credit = (owner, held) =>
        owner.Add(HandshakeValue.Fields, RowFields.RowOf(RowFields.ValueOf<HandshakeValue>(held).Regroup(handshakeOptions.Buckets)));

    private readonly PendingCounts<ulong>.Taker _giveUp = held => accounts.Unattributed.Add(HandshakeValue.Fields, held);
    private readonly MissedHandshakes _missed = new(ledger, losses.Missed);
    private long _sweptAt = time.GetTimestamp();
    private bool _unfinished;
    private long _started;
    private long _completed;

    /// <summary>
    /// How many drains have begun. What was counted before this was read is with its pod once <see cref="Completed"/> is greater.
    /// </summary>
    internal long Started => Volatile.Read(ref _started);

    /// <summary>The number of the last drain that has ended well.</summary>
    internal long Completed => Volatile.Read(ref _completed);

    /// <summary>Reads, commits and clears.</summary>
    /// <exception cref="BpfException">
    /// Something could not be read, or not be cleared. What was read is committed; the rest stays in the kernel for the next drain.
    /// </exception>
    internal void Drain()
    {
        if (!_unfinished)
        {
            Volatile.Write(ref _started, _started + 1);
        }
        _unfinished = true;
        for (var isLast = false; !isLast;)
        {
            var rows = source.Read(out var kept, out var bounds, out isLast);
            lock (ledger.Lock)
            {
                foreach (ref readonly var row in rows)
                {
                    Credit(row.Key.Network, bounds is null ? row.Value : row.Value.Regroup(bounds, handshakeOptions.Buckets));
                }
                Settle();
                ledger.Commit([kept]);
            }
            source.Clear();
        }
        _unfinished = false;
        Volatile.Write(ref _completed, _started);
        if (time.GetElapsedTime(_sweptAt) >= SweepInterval)
        {
            SweepLate();
            _sweptAt = time.GetTimestamp();
        }
        foreach (var reason in Reasons)
        {
            losses.Set(reason, source.ReadLoss(reason));
        }
        var missed = source.ReadMissed();
        lock (ledger.Lock)
        {
            _missed.Add(missed);
            ledger.Commit();
        }
        source.ForgetMissed();
    }

    /// <summary>Goes on holding what a former process has held, and adding to what it has added up.</summary>
    internal void Restore()
    {
        lock (ledger.Lock)
        {
            foreach (var entry in ledger.FindRestored(RecordKind.HeldHandshakes))
            {
                _held.Restore(RecordKey.ReadNumber(entry.Key));
            }
            _missed.Restore();
        }
    }

    private void Settle() => _held.Settle(_findCounts, _credit, _giveUp);

    private static IPodAccount? FindCounts(PodTable pods, ulong network) => pods.Networks.GetValueOrDefault(network)?.Counts;

    /// <summary>Whether an interface leads to this namespace, or has led to it until just now, so that a pod may become known.</summary>
    private bool IsPeer(ulong network) => pods.Networks.ContainsKey(network) || pods.PeerNamespaces.Contains(network);

    private void Credit(ulong network, in HandshakeValue handshakes)
    {
        var row = RowFields.RowOf(handshakes);
        if (FindCounts(pods, network) is { } counts)
        {
            counts.Add(HandshakeValue.Fields, row);
        }
        else if (!IsPeer(network))
        {
            // Every process that may make user namespaces can make any number of these.
            accounts.Unattributed.Add(HandshakeValue.Fields, row);
        }
        else if (_held.TryHold(network) is { } held)
        {
            held.Add(HandshakeValue.Fields, row);
        }
        else
        {
            accounts.CountUnheld(HandshakeValue.Fields);
            accounts.Unattributed.Add(HandshakeValue.Fields, row);
        }
    }

    /// <summary>
    /// No tracepoint shows that the kernel has given up a request of a server, so it is found by its silence. A client's handshake always
    /// ends in a change of state, and is found here only if the kernel skipped the program then.
    /// </summary>
    private void SweepLate()
    {
        // TimeProvider's timestamps are CLOCK_MONOTONIC's, as the programs' are.
        var now = (ulong)(time.GetElapsedTime(0).Ticks * TimeSpan.NanosecondsPerTick);
        foreach (ref readonly var row in source.ReadLate())
        {
            if (now < Overdue(row.Value) || !source.RemoveLate(row.Key))
            {
                continue;
            }
            if (row.Value.Role == Server)
            {
                HandshakeValue failed = default;
                failed.Server.Failures[(int)HandshakeFailure.TimedOut] = 1;
                lock (ledger.Lock)
                {
                    Credit(row.Key.Network, failed);
                    Settle();
                    ledger.Commit();
                }
            }
            else if (row.Value.Role == Client && row.Value.Resent > 0)
            {
                lock (ledger.Lock)
                {
                    losses.Unseen.Add(1);
                    ledger.Commit();
                }
            }
        }
    }

    /// <summary>
    /// When it should have been sent again or given up, with room to spare: the time between two is at most a second more than all the
    /// time before (tcp_timeout_init() and its doubling), and two minutes at the most (TCP_RTO_MAX).
    /// </summary>
    private static ulong Overdue(in HandshakeLate late)
    {
        var last = Math.Max(late.Started, late.Resent);
        return last + Math.Min((2 * (last - late.Started)) + (4 * NanosecondsPerSecond), 150 * NanosecondsPerSecond);
    }
}
