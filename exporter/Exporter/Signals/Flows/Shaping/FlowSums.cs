using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>What one end of several flows has sent.</summary>
internal struct SideSums
{
    internal ulong Bytes;
    internal ulong Packets;
    internal ulong Segments;
    internal byte TcpFlags;

    private FlowAddress _natAddress;
    private ushort _natPort;

    internal static SideSums Of(in FlowSide side) => new()
    {
        Bytes = side.Bytes,
        Packets = side.Packets,
        Segments = side.Segments,
        TcpFlags = side.TcpFlags,
        _natAddress = side.NatAddress,
        _natPort = side.NatPort,
    };

    internal void Add(in SideSums other)
    {
        Bytes += other.Bytes;
        Packets += other.Packets;
        Segments += other.Segments;
        TcpFlags |= other.TcpFlags;
        // A translation that not all have is of none.
        (_natAddress, _natPort) = (_natAddress, _natPort) == (other._natAddress, other._natPort) ? (_natAddress, _natPort) : default;
    }

    internal readonly void Fill(ref FlowSide side)
    {
        (side.Bytes, side.Packets, side.Segments, side.TcpFlags) = (Bytes, Packets, Segments, TcpFlags);
        (side.NatAddress, side.NatPort) = (_natAddress, _natPort);
    }
}

/// <summary>Several flows of one interface that are one record.</summary>
internal struct FlowSums
{
    internal SideSums Local;
    internal SideSums Remote;

    /// <summary>0: nothing was added.</summary>
    private int _count;

    private ulong _syns;
    private ulong _resets;
    private ulong _connections;
    private DateTimeOffset _start;
    private DateTimeOffset _end;
    private ulong? _minRtt;

    /// <summary>Each flow's smoothed time as often as it has packets.</summary>
    private UInt128 _rtts;

    private ulong _rttPackets;
    private ulong? _retransmits;
    private FlowState? _state;
    private RecordEnd? _remoteEnd;
    private bool _hasSeveralEnds;

    private bool _hasSuccess;

    /// <summary>Whether no connection of it came about.</summary>
    internal readonly bool IsFailure => _count > 0 && !_hasSuccess;

    internal readonly ulong Bytes => Local.Bytes + Remote.Bytes;

    /// <summary>Adds a flow with packets.</summary>
    internal void Add(FlowRecord flow, bool isFailure)
    {
        var isLocalSource = flow.Observer == FlowObserver.Source;
        var sums = new FlowSums
        {
            _count = 1,
            _syns = flow.Syns,
            _resets = flow.Resets,
            _connections = flow.Connections,
            _start = flow.Start,
            _end = flow.End,
            _minRtt = flow.MinRttNs,
            _retransmits = flow.Retransmits,
            _state = flow.State,
            _remoteEnd = isLocalSource ? flow.Destination.End : flow.Source.End,
            _hasSuccess = !isFailure,
            Local = SideSums.Of(isLocalSource ? flow.Source : flow.Destination),
            Remote = SideSums.Of(isLocalSource ? flow.Destination : flow.Source),
        };
        if (flow.SmoothedRttNs is { } rtt)
        {
            sums._rttPackets = sums.Local.Packets + sums.Remote.Packets;
            sums._rtts = (UInt128)rtt * sums._rttPackets;
        }
        Add(sums);
    }

    internal void Add(in FlowSums other)
    {
        if (_count == 0)
        {
            this = other;
            return;
        }
        _count += other._count;
        Local.Add(other.Local);
        Remote.Add(other.Remote);
        _syns += other._syns;
        _resets += other._resets;
        _connections += other._connections;
        _start = other._start < _start ? other._start : _start;
        _end = other._end > _end ? other._end : _end;
        _minRtt = _minRtt is { } least && !(other._minRtt < least) ? least : other._minRtt;
        _rtts += other._rtts;
        _rttPackets += other._rttPackets;
        _retransmits = _retransmits is { } before ? before + (other._retransmits ?? 0) : other._retransmits;
        _state = _state == other._state ? _state : null;
        _hasSeveralEnds |= other._hasSeveralEnds || !IsSame(_remoteEnd, other._remoteEnd);
        _hasSuccess |= other._hasSuccess;
    }

    /// <summary>Writes the sums over the record of the first of the flows.</summary>
    /// <param name="commonEnd">The part of the other end's names that all have in common, where these differ.</param>
    internal readonly void Fill(FlowRecord record, RecordEnd? commonEnd)
    {
        var isLocalSource = record.Observer == FlowObserver.Source;
        ref var remote = ref isLocalSource ? ref record.Destination : ref record.Source;
        Local.Fill(ref isLocalSource ? ref record.Source : ref record.Destination);
        Remote.Fill(ref remote);
        remote.End = _hasSeveralEnds ? commonEnd : remote.End;
        (record.Start, record.End, record.FlowStart, record.EndReason, record.State) = (_start, _end, null, null, _state);
        (record.Syns, record.Resets, record.Connections) = (_syns, _resets, _connections);
        record.MinRttNs = _minRtt;
        record.SmoothedRttNs = _rttPackets == 0 ? null : (ulong)(_rtts / _rttPackets);
        record.Retransmits = _retransmits;
    }

    private static bool IsSame(RecordEnd? one, RecordEnd? other) => ReferenceEquals(one, other) || (one is not null && other is not null && one.Digest == other.Digest);
}
