using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>A flow as it is remembered from one interval to the next: <see cref="FlowCopy"/> is the same in the table's memory.</summary>
internal struct Flow
{
    private const byte Fin = 0x01, Syn = 0x02, Rst = 0x04, Psh = 0x08, Ack = 0x10, Urg = 0x20;

    /// <summary>A SYN that is older has no answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>Packets may still come so long after a connection has ended.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(2);

    /// <summary>A question and its answer take at most so long, a repeated question included.</summary>
    private static readonly TimeSpan Exchange = TimeSpan.FromSeconds(5);

    /// <summary>A conversation that is silent for so long after its first exchange is likely over.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

    /// <summary>Of the connection that began last.</summary>
    internal byte LocalFlags { get; set; }

    internal byte RemoteFlags { get; set; }

    /// <summary>Of the SYN that began it; null: none was seen.</summary>
    internal uint? InitialSeq { get; set; }

    /// <summary>Of the socket's life, at the end of the interval before; null: not known.</summary>
    internal uint? Retransmits { get; set; }

    internal bool IsLocalSource { get; set; }

    internal FlowOrientation Orientation { get; set; }

    /// <summary>The first packet of the connection, or of the flow; null: not known.</summary>
    internal DateTimeOffset? Start { get; set; }

    internal DateTimeOffset LastPacket { get; set; }

    /// <summary>Null for all but TCP.</summary>
    internal FlowState? State { get; set; }

    /// <summary>Whether the connection is over, or did not come about: a record has said so.</summary>
    internal readonly bool HasEnded => State is FlowState.Closed or FlowState.Refused or FlowState.Unanswered;

    /// <summary>Whether little is lost when it is forgotten: a connection that is over, or a conversation that was one question and its answer.</summary>
    internal readonly bool IsLikelyOver(DateTimeOffset now) => State is { } state
        ? state is FlowState.Closed or FlowState.Refused && now - LastPacket >= Linger
        : Start is { } start && LastPacket - start <= Exchange && now - LastPacket >= Silence;

    private readonly byte SourceFlags => IsLocalSource ? LocalFlags : RemoteFlags;

    private readonly byte DestinationFlags => IsLocalSource ? RemoteFlags : LocalFlags;

    /// <summary>Takes the packets of an interval.</summary>
    /// <param name="first">The first packet: <see cref="FirstOf"/>.</param>
    /// <param name="isNew">Whether this is its first interval.</param>
    /// <param name="wasSilent">Whether it is known that the tuple had no packet for as long as makes a flow idle.</param>
    /// <param name="isUnknown">Whether it may have begun in an interval before, and was not remembered.</param>
    /// <param name="guess">Which end has begun, where no packet shows it.</param>
    internal FlowSight See(
        in FlowKey key,
        in FlowValue value,
        DateTimeOffset first,
        bool isNew,
        bool wasSilent,
        bool isUnknown,
        in FlowClock clock,
        Func<FlowKey, (bool IsLocalSource, FlowOrientation Orientation)> guess)
    {
        var last = clock.TimeOf(Latest(value.Transmit.Last, value.Receive.Last, clock));
        var connections = key.IsTcp ? SeeTcp(key, value, isNew, wasSilent, first, guess) : SeeOther(value, isNew, isUnknown, first);
        LastPacket = last;
        var before = State;
        State = key.IsTcp ? FindState(clock.ReadAt) : null;
        return new(
            IsLocalSource,
            Orientation,
            State,
            State == before && connections == 0 ? null : State switch
            {
                FlowState.Refused => FlowEndReason.Reset,
                FlowState.Closed => ((LocalFlags | RemoteFlags) & Rst) != 0 ? FlowEndReason.Reset : FlowEndReason.Fin,
                _ => null,
            },
            connections,
            Start,
            FindRetransmits(value, isOfOther: connections > 0 && HasEarlier(value, connections)));
    }

    /// <summary>An interval without a packet. Returns whether there is something to say of it.</summary>
    /// <param name="isIdle">Whether it is over for want of packets.</param>
    internal bool TryMiss(in FlowClock clock, bool isIdle, out FlowSight sight)
    {
        var before = State;
        State = before == FlowState.Opening ? FindState(clock.ReadAt) : before;
        var ends = isIdle && !HasEnded;
        sight = new(IsLocalSource, Orientation, State, ends ? FlowEndReason.Idle : null, 0, Start, null);
        return ends || State != before;
    }

    private uint SeeTcp(in FlowKey key, in FlowValue value, bool isNew, bool wasSilent, DateTimeOffset first, Func<FlowKey, (bool IsLocalSource, FlowOrientation Orientation)> guess)
    {
        var (local, remote) = (value.Transmit, value.Receive);
        var (begun, isLocal) = local.Connections > 0 ? (local, true) : (remote, false);
        // A SYN that is sent again, or is late, is of the connection that it has begun, whatever has become of that: it is sent again for two minutes.
        var isRepeated = begun.Connections > 0 && !isNew && IsLocalSource == isLocal && InitialSeq == begun.InitialSeq;
        var connections = begun.Connections - (isRepeated ? 1u : 0);
        if (connections > 0)
        {
            // The first packet is of the connection before where there was one in the interval.
            (IsLocalSource, Orientation, Start, InitialSeq) = (isLocal, FlowOrientation.Syn, HasEarlier(value, connections) ? null : first, begun.InitialSeq);
            (LocalFlags, RemoteFlags, State, Retransmits) = (0, 0, null, 0);
        }
        else if (isNew)
        {
            // The SYN was not seen, but maybe its answer.
            (IsLocalSource, Orientation) = (local.Flags.CurrentBits & (Syn | Ack), remote.Flags.CurrentBits & (Syn | Ack)) switch
            {
                (_, Syn | Ack) when remote.Syns > 0 => (true, FlowOrientation.Syn),
                (Syn | Ack, _) when local.Syns > 0 => (false, FlowOrientation.Syn),
                _ => guess(key),
            };
            connections = wasSilent && !IsBare(local.Flags.Bits | remote.Flags.Bits) ? 1u : 0;
        }
        // The kernel does not know that a SYN was sent before the interval: flags before that are of the same connection.
        LocalFlags |= connections > 0 ? local.Flags.CurrentBits : local.Flags.Bits;
        RemoteFlags |= connections > 0 ? remote.Flags.CurrentBits : remote.Flags.Bits;
        return connections;
    }

    /// <summary>
    /// Whether the packets with these flags have no payload: a connection that was idle for long is not begun by them, but ended or kept up. The last segment of
    /// data has a PSH. Fragments have no flags.
    /// </summary>
    private static bool IsBare(int flags) => flags != 0 && (flags & (Syn | Psh | Urg)) == 0;

    private uint SeeOther(in FlowValue value, bool isNew, bool isUnknown, DateTimeOffset first)
    {
        if (isNew)
        {
            (IsLocalSource, Orientation, Start) = (value.IsFromPod, FlowOrientation.First, isUnknown ? null : first);
        }
        return isNew && !isUnknown ? 1u : 0;
    }

    private readonly FlowState FindState(DateTimeOffset now)
    {
        var (source, destination) = (SourceFlags, DestinationFlags);
        if (((source | destination) & Rst) != 0)
        {
            return (source & Syn) != 0 && (destination & Rst) != 0 && (destination & Syn) == 0 && (source & Fin) == 0 ? FlowState.Refused : FlowState.Closed;
        }
        if ((source & destination & Fin) != 0)
        {
            return FlowState.Closed;
        }
        if ((destination & Syn) != 0)
        {
            return (source & Ack) != 0 ? FlowState.Open : FlowState.HalfOpen;
        }
        return (source & Syn) == 0 || destination != 0 ? FlowState.Open : now - (Start ?? LastPacket) < Patience ? FlowState.Opening : FlowState.Unanswered;
    }

    /// <summary>Of the pod's own socket. Nothing is known of one that is older than the flow, but how many there are from now on.</summary>
    /// <param name="isOfOther">Whether it may be the socket of the connection before.</param>
    private uint? FindRetransmits(in FlowValue value, bool isOfOther)
    {
        if (value.HasSocket == 0 || isOfOther)
        {
            return null;
        }
        var before = value.Retransmits < Retransmits ? 0 : Retransmits;
        Retransmits = value.Retransmits;
        return before is { } known ? value.Retransmits - known : null;
    }

    /// <summary>Whether there were packets before the SYN that has begun the last connection.</summary>
    private static bool HasEarlier(in FlowValue value, uint connections) =>
        connections > 1 || value.Transmit.Flags.Bits != value.Transmit.Flags.CurrentBits || value.Receive.Flags.Bits != value.Receive.Flags.CurrentBits;

    /// <summary>The time of the first packet that either end has sent.</summary>
    internal static DateTimeOffset FirstOf(in FlowValue value, in FlowClock clock) => clock.TimeOf(Earliest(value.Transmit.First, value.Receive.First, clock));

    private static uint Earliest(uint one, uint other, in FlowClock clock) =>
        one == 0 ? other : other == 0 ? one : clock.Ticks - one > clock.Ticks - other ? one : other;

    private static uint Latest(uint one, uint other, in FlowClock clock) =>
        one == 0 ? other : other == 0 ? one : clock.Ticks - one < clock.Ticks - other ? one : other;
}
