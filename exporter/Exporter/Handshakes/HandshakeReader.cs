using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Traffic;

namespace Exporter.Handshakes;

/// <summary>Fetches the handshakes that the kernel counted. The seam behind which the maps are.</summary>
internal interface IHandshakeSource
{
    /// <summary>What was counted since the last call; valid until the next.</summary>
    /// <param name="complete">Whether it is everything; if not, or after an exception, the next call goes on where this one ended.</param>
    ReadOnlySpan<DrainedRow<HandshakeKey, HandshakeValue>> Drain(out bool complete);

    /// <summary>What could not be counted, since the programs were loaded.</summary>
    ulong ReadLoss(HandshakeLoss reason);

    /// <summary>
    /// Looks whether the kernel leaves programs out, and has it stop. Returns how many changes of a socket's state it has left out.
    /// </summary>
    ulong ReadMissed();

    /// <summary>The handshakes that are being sent again; valid until the next call.</summary>
    ReadOnlySpan<DrainedRow<HandshakeFlow, HandshakeLate>> ReadLate();

    /// <summary>Forgets one of them. Returns whether it was still there.</summary>
    bool RemoveLate(in HandshakeFlow flow);
}

/// <inheritdoc/>
internal sealed class KernelHandshakeSource(TcpHandshakePrograms programs) : IHandshakeSource
{
    public ReadOnlySpan<DrainedRow<HandshakeKey, HandshakeValue>> Drain(out bool complete) => programs.Handshakes.Drain(out complete);

    public ulong ReadLoss(HandshakeLoss reason) => programs.Losses.Read((int)reason);

    public ulong ReadMissed() => programs.Reinforce();

    public ReadOnlySpan<DrainedRow<HandshakeFlow, HandshakeLate>> ReadLate() => programs.Late.Read();

    public bool RemoveLate(in HandshakeFlow flow) => programs.Late.Remove(flow);
}

/// <summary>
/// Takes the drained handshakes to the series of the pods in whose network namespace they were. Those of a namespace whose pod is not
/// known yet are held until it is, or until the wait is over. Used by the drain loop alone.
/// </summary>
internal sealed class HandshakeReader(
    IHandshakeSource source, PodTable pods, ExporterMetrics metrics, TimeProvider time, IdentityOptions options)
{
    private const ulong Server = 1;
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    private static readonly HandshakeLoss[] Losses = Enum.GetValues<HandshakeLoss>();

    /// <summary>Reading them takes a moment in which the kernel leaves kprobes' programs out on this CPU.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly HeldRows<ulong, HandshakeValue> _held = new(time, options.Wait);
    private readonly Func<ulong, IPodCounts?> _findCounts = network => FindCounts(pods, network);
    private readonly HeldRows<ulong, HandshakeValue>.Taker _giveUp = metrics.Unattributed.Add;
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

    /// <returns>Whether everything could be fetched; what could not is fetched by the next call.</returns>
    /// <exception cref="BpfException">As if it returned false.</exception>
    internal bool Drain()
    {
        if (!_unfinished)
        {
            Volatile.Write(ref _started, _started + 1);
        }
        _unfinished = true;
        var rows = source.Drain(out var complete);
        foreach (ref readonly var row in rows)
        {
            Credit(row.Key.Network, row.Value);
        }
        try
        {
            if (time.GetElapsedTime(_sweptAt) >= SweepInterval)
            {
                SweepLate();
                _sweptAt = time.GetTimestamp();
            }
        }
        finally
        {
            _held.Settle(_findCounts, static (IPodCounts counts, in HandshakeValue value) => counts.Add(value), _giveUp);
        }
        if (complete)
        {
            _unfinished = false;
            Volatile.Write(ref _completed, _started);
        }
        foreach (var reason in Losses)
        {
            metrics.SetLoss(reason, source.ReadLoss(reason));
        }
        metrics.MissedHandshakes.IncTo(source.ReadMissed());
        return complete;
    }

    private static IPodCounts? FindCounts(PodTable pods, ulong network) => pods.Networks.GetValueOrDefault(network)?.Counts;

    private void Credit(ulong network, in HandshakeValue handshakes)
    {
        if (FindCounts(pods, network) is { } counts)
        {
            counts.Add(handshakes);
        }
        else
        {
            _held.Hold(network, handshakes, static (ref HandshakeValue sum, in HandshakeValue more) => sum.Add(more));
        }
    }

    /// <summary>
    /// No tracepoint tells that the kernel has given up a request of a server, so it is found by its silence. A client's handshake always
    /// ends in a change of state, and is found here only if the program was left out then.
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
                Credit(row.Key.Network, failed);
            }
            else if (row.Value.Resent > 0)
            {
                metrics.UnseenHandshakes.Inc();
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
