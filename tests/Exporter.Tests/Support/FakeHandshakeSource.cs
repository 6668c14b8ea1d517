using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Signals;
using Exporter.Signals.Handshakes;

namespace Exporter.Tests.Support;

/// <summary>Hands out what a test has put in, once; late handshakes until they are removed.</summary>
internal sealed class FakeHandshakeSource : IRowSource<HandshakeKey, HandshakeValue>, IHandshakeState
{
    private readonly Dictionary<HandshakeLoss, ulong> _losses = [];
    private readonly List<DrainedRow<HandshakeFlow, RetransmittedHandshake>> _late = [];
    private readonly FakeRows<HandshakeKey, HandshakeValue> _rows = new();
    private int _drains;

    internal int Drains => Volatile.Read(ref _drains);

    /// <summary>How often the late handshakes were read.</summary>
    internal int LateReads { get; private set; }

    /// <summary>The handshakes that are being sent again.</summary>
    internal int LateHandshakes => _late.Count;

    /// <summary>The kernel refuses, from now on.</summary>
    internal bool Fails { get; set; }

    /// <summary>The kernel refuses to empty the map, from now on.</summary>
    internal bool FailsToClear { get; set; }

    /// <summary>The kernel refuses to tell the losses, from now on.</summary>
    internal bool FailsToReadLosses { get; set; }

    /// <summary>The kernel refuses to tell the late handshakes, from now on.</summary>
    internal bool FailsToReadLate { get; set; }

    /// <summary>Runs while the reader waits for the rows.</summary>
    internal Action WhileDraining { get; set; } = () => { };

    /// <summary>Runs when the late handshakes have been read and none is removed yet.</summary>
    internal Action AfterReadingLate { get; set; } = () => { };

    /// <summary>The rows were counted by a previous process, with other bounds.</summary>
    internal bool IsPrevious { get; set; }

    /// <summary>Allocates nothing, so that a test can tell what its caller allocates.</summary>
    public ReadOnlySpan<DrainedRow<HandshakeKey, HandshakeValue>> Read(out RowsRead read)
    {
        read = new(default, IsPrevious, IsCommitted: false, IsLast: true);
        Interlocked.Increment(ref _drains);
        WhileDraining();
        return Fails ? throw new BpfException("drain the map of handshakes", 12) : _rows.Read();
    }

    public void Keep()
    {
    }

    public void EndPrevious()
    {
    }

    public void Release()
    {
        _rows.Clear();
        if (FailsToClear)
        {
            throw new BpfException("empty the map of handshakes", 12);
        }
    }

    /// <summary>Misses of each generation of programs.</summary>
    internal MissedChanges[] Missed { get; set; } = [];

    /// <summary>How often what was missed was committed.</summary>
    internal int MissedKept { get; private set; }

    public ReadOnlySpan<MissedChanges> ReadMissed() => Missed;

    public void ForgetMissed() => MissedKept++;

    public ulong ReadLoss(HandshakeLoss reason) =>
        FailsToReadLosses ? throw new BpfException("read the losses", 12) : _losses.GetValueOrDefault(reason);

    public ReadOnlySpan<DrainedRow<HandshakeFlow, RetransmittedHandshake>> ReadRetransmitted()
    {
        LateReads++;
        if (FailsToReadLate)
        {
            throw new BpfException("read the late handshakes", 12);
        }
        DrainedRow<HandshakeFlow, RetransmittedHandshake>[] rows = [.. _late];
        AfterReadingLate();
        return rows;
    }

    public bool TryRemove(in HandshakeFlow flow) => Forget(flow);

    internal void Put(ulong network, HandshakeValue handshakes) => _rows.Put(new(network), handshakes);

    internal void PutLate(HandshakeFlow flow, RetransmittedHandshake late) => _late.Add(new(flow, late));

    /// <summary>A late handshake has ended, or was removed.</summary>
    internal bool Forget(HandshakeFlow flow) => _late.RemoveAll(row => IsSame(row.Key, flow)) > 0;

    internal void SetLoss(HandshakeLoss reason, ulong total) => _losses[reason] = total;

    private static bool IsSame(in HandshakeFlow one, in HandshakeFlow other) => Bytes(one).SequenceEqual(Bytes(other));

    private static ReadOnlySpan<byte> Bytes(in HandshakeFlow flow) => MemoryMarshal.AsBytes(new ReadOnlySpan<HandshakeFlow>(in flow));
}
