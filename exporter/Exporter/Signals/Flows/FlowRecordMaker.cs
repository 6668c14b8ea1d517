using Exporter.Records;
using EventId = Exporter.Records.EventId;

namespace Exporter.Signals.Flows;

/// <summary>Makes records of rows. Used by the drain alone.</summary>
internal sealed class FlowRecordMaker(FlowEnds ends, FlowBackends backends)
{
    private readonly FlowRecord _flow = new();
    private readonly RestRecord _rest = new();

    /// <summary>The record of one flow, which is valid until the next call. It has no id yet: of flows that are parts of one record only that one has.</summary>
    /// <param name="value">Its row; all zero where it had no packet.</param>
    internal FlowRecord Make(FlowInterval interval, in FlowObservation flow, in FlowValue value)
    {
        var (key, sight, record) = (flow.Key, flow.Sight, _flow);
        record.Reset();
        (record.InterfaceName, record.Generation) = (flow.Owner.Name, flow.Owner.Generation);
        record.Protocol = key.Protocol;
        (record.Observer, record.Orientation) = (sight.IsLocalSource ? FlowObserver.Source : FlowObserver.Destination, sight.Orientation);
        (record.State, record.EndReason, record.Connections, record.FlowStart) = (sight.State, sight.EndReason, sight.Connections, sight.Start);
        var local = SideOf(key, key.LocalAddress, key.LocalPortNumber, value.Transmit, ends.FindPod(flow.Owner));
        var remote = SideOf(key, key.RemoteAddress, key.RemotePortNumber, value.Receive, flow.Remote);
        if (backends.TryFind(key, out var backend, out var backendPort))
        {
            (remote.NatAddress, remote.NatPort) = (backend, backendPort);
        }
        (record.Source, record.Destination) = sight.IsLocalSource ? (local, remote) : (remote, local);
        (record.Start, record.End) = flow.HasPackets ? TimesOf(value, interval.Clock) : (interval.Context.Start, interval.Context.End);
        if (key.IsTcp)
        {
            (record.Syns, record.Resets) = (value.Transmit.Syns + value.Receive.Syns, value.Transmit.Resets + value.Receive.Resets);
            record.SmoothedRttNs = value.SrttUs == 0 ? null : value.SrttUs * 125ul;
            record.MinRttNs = value.RttMinUs == 0 ? null : value.RttMinUs * 1000ul;
            record.Retransmits = sight.Retransmits;
        }
        else if (key.IsIcmp)
        {
            var (type, other) = sight.IsLocalSource ? (key.LocalPortNumber, key.RemotePortNumber) : (key.RemotePortNumber, key.LocalPortNumber);
            record.IcmpType = (byte)type;
            // A request's and its reply's code is always 0; above another code is a bit of the key alone.
            record.IcmpCode = CommunityId.Counterpart(key.Protocol, (byte)type) is null ? (byte)other : (byte)0;
        }
        return record;
    }

    /// <summary>The id of the record of one flow.</summary>
    internal static EventId IdOf(FlowInterval interval, in FlowObservation flow)
    {
        var key = flow.Key;
        return EventId.OfFlow(interval.Context, flow.Owner.Generation, new(key.Protocol, key.LocalAddress, key.LocalPortNumber, key.RemoteAddress, key.RemotePortNumber));
    }

    /// <summary>The name of the observer's pod; null: it is not known.</summary>
    internal RecordEnd? FindPod(in FlowObservation flow) => ends.FindPod(flow.Owner);

    /// <summary>The record of a rest, which is valid until the next call.</summary>
    internal RestRecord Make(RestCounts rest, RestReason reason, long sequence)
    {
        (_rest.Sequence, _rest.Reason, _rest.Direction) = (sequence, reason, rest.Direction);
        (_rest.Packets, _rest.Bytes) = rest[reason];
        (_rest.Pod, _rest.InterfaceName, _rest.Generation) = (ends.FindPod(rest.Owner), rest.Owner.Name, rest.Owner.Generation);
        return _rest;
    }

    /// <summary>The first and the last packet of both directions.</summary>
    private static (DateTimeOffset First, DateTimeOffset Last) TimesOf(in FlowValue value, in FlowClock clock)
    {
        var (first, last) = (DateTimeOffset.MaxValue, DateTimeOffset.MinValue);
        foreach (ref readonly var half in (ReadOnlySpan<FlowHalf>)[value.Transmit, value.Receive])
        {
            if (half.First != 0)
            {
                first = clock.TimeOf(half.First) is var begun && begun < first ? begun : first;
                last = clock.TimeOf(half.Last) is var ended && ended > last ? ended : last;
            }
        }
        return (first, last);
    }

    private static FlowSide SideOf(in FlowKey key, FlowAddress address, ushort port, in FlowHalf half, RecordEnd? end) => new()
    {
        Address = address,
        Port = port,
        HasPort = !key.IsIcmp && (key.LocalPort != 0 || key.RemotePort != 0),
        Bytes = half.Bytes,
        Packets = half.Packets,
        Segments = half.Segments,
        TcpFlags = half.Flags.Bits,
        End = end,
    };
}
