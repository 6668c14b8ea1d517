using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// A place for one flow in the memory of <see cref="FlowSlots"/>, 128 bytes. The newer copy is in force, the other one is overwritten: so an interval that was
/// not committed changes nothing. A copy's head is stored last, with a checksum of what it is the head of.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlowSlot
{
    /// <summary>Only a slot that is free, and was so after the last interval, gets another.</summary>
    internal FlowKey Key;

    /// <summary>The low half of the interface's: enough for one interface a second in 136 years.</summary>
    internal uint Generation;

    private FlowCopy _one;
    private FlowCopy _other;

    internal static int Bytes => Unsafe.SizeOf<FlowSlot>();

    /// <summary>The copy in force; its interval is 0 where there is none.</summary>
    [UnscopedRef]
    internal ref FlowCopy Newest => ref _one.Interval >= _other.Interval ? ref _one : ref _other;

    /// <summary>Whether the copy in force was stored to its end.</summary>
    internal bool IsWhole => Newest.Head == HeadOf(Newest.Interval, Newest);

    /// <summary>Puts the flow after an interval in force, in place of the older copy, or of the one that the same interval has stored.</summary>
    /// <param name="copy">All zero: the slot is free after the interval.</param>
    internal void Write(uint interval, in FlowCopy copy)
    {
        ref var target = ref _one.Interval == interval || (_other.Interval != interval && _one.Interval < _other.Interval) ? ref _one : ref _other;
        var head = HeadOf(interval, copy);
        Volatile.Write(ref target.Head, 0);
        target = copy;
        Volatile.Write(ref target.Head, head);
    }

    /// <summary>Forgets copies of intervals that were not committed.</summary>
    internal void ForgetAfter(uint committed)
    {
        // A slot that was never used is not written to: a page of these takes no memory.
        if (_one.Interval > committed)
        {
            _one.Head = 0;
        }
        if (_other.Interval > committed)
        {
            _other.Head = 0;
        }
    }

    internal void Erase() => (_one.Head, _other.Head) = (0, 0);

    /// <summary>A copy that frees the slot does not depend on its key, which another flow may have overwritten.</summary>
    private readonly ulong HeadOf(uint interval, in FlowCopy copy)
    {
        Image image = default;
        if (copy.IsUsed)
        {
            (image.Key, image.Generation) = (Key, Generation);
        }
        image.Copy = copy;
        image.Copy.Head = interval;
        return interval | (XxHash3.HashToUInt64(MemoryMarshal.AsBytes(new ReadOnlySpan<Image>(in image))) << 32);
    }

    /// <summary>What a checksum is of.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Image
    {
        internal FlowKey Key;
        internal uint Generation;
        internal FlowCopy Copy;
    }
}

/// <summary>
/// One of the two copies of a flow: the flow after an interval, and the part of that interval's record that its row does not show, so that a repeat of the
/// interval has the same record.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlowCopy
{
    /// <summary>The interval, and above it the checksum. 0: nothing was stored, or not to its end.</summary>
    internal ulong Head;

    private long _start;
    private long _lastPacket;
    private uint _initialSeq;

    /// <summary>Retransmissions of the socket's life.</summary>
    private uint _base;

    /// <summary>Retransmissions of the interval.</summary>
    private uint _retransmits;

    private byte _localFlags;
    private byte _remoteFlags;
    private ushort _bits;

    private const int UsedAt = 0, SilentAt = 1, LocalSourceAt = 2, SequenceAt = 3, BaseAt = 4, RetransmitsAt = 5, OrientationAt = 6, StateAt = 9, EndReasonAt = 12, BegunAt = 14;

    /// <summary>For the layout of the memory: its digest is another one when something is stored otherwise.</summary>
    internal static IReadOnlyList<string> Layout { get; } =
    [
        "interval", "checksum", "start", "last", "sequence", "base", "retransmits", "local", "remote", "bits",
        string.Join('+', Enum.GetNames<FlowOrientation>()),
        string.Join('+', Enum.GetNames<FlowState>()),
        string.Join('+', Enum.GetNames<FlowEndReason>()),
    ];

    internal readonly uint Interval => (uint)Head;

    /// <summary>Whether the flow is remembered after the interval; else the slot is free.</summary>
    internal readonly bool IsUsed => Has(UsedAt);

    /// <summary>Whether the interval has a record of the flow though it had no packet.</summary>
    internal readonly bool IsSilent => Has(SilentAt);

    internal readonly DateTimeOffset LastPacket => new(_lastPacket, TimeSpan.Zero);

    /// <param name="flow">As it is after the interval.</param>
    /// <param name="sight">Of the interval.</param>
    /// <param name="counted">The connections that the interval's row has counted.</param>
    internal static FlowCopy Of(in Flow flow, in FlowSight sight, uint counted, bool isUsed, bool isSilent)
    {
        var bits = Bit(isUsed, UsedAt) | Bit(isSilent, SilentAt) | Bit(flow.IsLocalSource, LocalSourceAt) | Bit(flow.InitialSeq is not null, SequenceAt)
            | Bit(flow.Retransmits is not null, BaseAt) | Bit(sight.Retransmits is not null, RetransmitsAt)
            | ((int)flow.Orientation << OrientationAt)
            | ((flow.State is { } state ? (int)state + 1 : 0) << StateAt)
            | ((sight.EndReason is { } reason ? (int)reason + 1 : 0) << EndReasonAt)
            | (((int)(sight.Connections - counted) & 3) << BegunAt);
        return new()
        {
            _start = flow.Start?.UtcTicks ?? 0,
            _lastPacket = flow.LastPacket.UtcTicks,
            _initialSeq = flow.InitialSeq ?? 0,
            _base = flow.Retransmits ?? 0,
            _retransmits = sight.Retransmits ?? 0,
            _localFlags = flow.LocalFlags,
            _remoteFlags = flow.RemoteFlags,
            _bits = (ushort)bits,
        };
    }

    /// <summary>The same sight of the interval, and a flow that is not remembered after it.</summary>
    internal readonly FlowCopy Forgotten() => this with { _bits = (ushort)(_bits & ~(1 << UsedAt)) };

    /// <param name="isRemembered">Whether another process has seen the flow last.</param>
    internal readonly Flow Read(bool isRemembered) => new()
    {
        LocalFlags = _localFlags,
        RemoteFlags = _remoteFlags,
        InitialSeq = Has(SequenceAt) ? _initialSeq : null,
        Retransmits = Has(BaseAt) ? _base : null,
        IsLocalSource = Has(LocalSourceAt),
        Orientation = isRemembered ? FlowOrientation.Remembered : Orientation,
        Start = Start,
        LastPacket = LastPacket,
        State = State,
    };

    /// <summary>The same sight as in the interval that has stored it.</summary>
    /// <param name="counted">The connections that its row has counted.</param>
    internal readonly FlowSight ReadSight(uint counted) => new(
        Has(LocalSourceAt),
        Orientation,
        State,
        Field(EndReasonAt, 3) is > 0 and var reason ? (FlowEndReason)(reason - 1) : null,
        // One less, the same, or one more.
        (uint)(counted + (Field(BegunAt, 3) is 3 ? -1 : Field(BegunAt, 3))),
        Start,
        Has(RetransmitsAt) ? _retransmits : null);

    private readonly FlowOrientation Orientation => (FlowOrientation)Field(OrientationAt, 7);

    private readonly FlowState? State => Field(StateAt, 7) is > 0 and var state ? (FlowState)(state - 1) : null;

    private readonly DateTimeOffset? Start => _start == 0 ? null : new DateTimeOffset(_start, TimeSpan.Zero);

    private readonly bool Has(int bit) => (_bits >> bit & 1) != 0;

    private readonly int Field(int at, int mask) => _bits >> at & mask;

    private static int Bit(bool isSet, int at) => isSet ? 1 << at : 0;
}
