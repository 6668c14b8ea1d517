using Exporter.Bpf;

namespace Exporter.Signals.Handshakes;

/// <summary>The drain of handshakes. It also finds handshakes that were abandoned, and counts what the programs have missed.</summary>
internal sealed class HandshakeDrain(
    IRowSource<HandshakeKey, HandshakeValue> source, IHandshakeState state, HandshakeLosses losses, IReadOnlyList<ulong> bounds, SessionContext context)
    : SignalDrain<HandshakeKey, HandshakeValue, ulong>(
        HandshakeValue.Fields,
        source,
        new NamespaceRows<HandshakeKey>(context.Pods, static key => key.Netns),
        context,
        row => HandshakeValue.Regroup(row, bounds))
{
    private const ulong Client = 0;
    private const ulong Server = 1;
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    private static readonly HandshakeLoss[] Reasons = Enum.GetValues<HandshakeLoss>();

    /// <summary>Reading them takes a moment in which the kernel skips kprobes' programs on this CPU.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly MissedHandshakes _missed = new(context.Ledger, losses.Missed);
    private long _sweptAt = context.Time.GetTimestamp();

    internal override void Restore(IReadOnlyList<Pods.PodInterface> restored)
    {
        base.Restore(restored);
        lock (Context.Ledger.Lock)
        {
            _missed.Restore();
        }
    }

    private protected override void OnDrained()
    {
        if (Context.Time.GetElapsedTime(_sweptAt) >= SweepInterval)
        {
            SweepAbandoned();
            _sweptAt = Context.Time.GetTimestamp();
        }
        foreach (var reason in Reasons)
        {
            losses.Set(reason, state.ReadLoss(reason));
        }
        var missed = state.ReadMissed();
        lock (Context.Ledger.Lock)
        {
            _missed.Add(missed);
            Context.Ledger.Commit();
        }
        state.ForgetMissed();
    }

    /// <summary>
    /// No tracepoint shows that the kernel has given up a request of a server, so it is found by its silence. A client's handshake always
    /// ends in a change of state, and is found here only if the kernel skipped the program then.
    /// </summary>
    private void SweepAbandoned()
    {
        // TimeProvider's timestamps are CLOCK_MONOTONIC's, as the programs' are.
        var now = (ulong)(Context.Time.GetElapsedTime(0).Ticks * TimeSpan.NanosecondsPerTick);
        foreach (ref readonly var row in state.ReadRetransmitted())
        {
            if (now < Overdue(row.Value) || !state.TryRemove(row.Key))
            {
                continue;
            }
            if (row.Value.Role == Server)
            {
                HandshakeValue failed = default;
                failed.Server.Failures[(int)HandshakeFailure.TimedOut] = 1;
                lock (Context.Ledger.Lock)
                {
                    Credit(new HandshakeKey(row.Key.Netns), RowFields.RowOf(failed));
                    Flush();
                    Context.Ledger.Commit();
                }
            }
            else if (row.Value.Role == Client && row.Value.Retransmitted > 0)
            {
                lock (Context.Ledger.Lock)
                {
                    losses.Unseen.Add(1);
                    Context.Ledger.Commit();
                }
            }
        }
    }

    /// <summary>
    /// When it should have been retransmitted or given up, with room to spare: the time between two is at most a second more than all the
    /// time before (tcp_timeout_init() and its doubling), and at most two minutes (TCP_RTO_MAX).
    /// </summary>
    private static ulong Overdue(in RetransmittedHandshake handshake)
    {
        var last = Math.Max(handshake.Started, handshake.Retransmitted);
        return last + Math.Min((2 * (last - handshake.Started)) + (4 * NanosecondsPerSecond), 150 * NanosecondsPerSecond);
    }
}
