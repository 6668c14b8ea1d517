using Exporter.Records;
using EventId = Exporter.Records.EventId;

namespace Exporter.Engine.Tests.Golden;

/// <summary>Makes the product's record of a sight.</summary>
internal static class SightRecord
{
    private const byte Fin = 1 << 0;
    private const byte Syn = 1 << 1;
    private const byte Rst = 1 << 2;
    private const byte Psh = 1 << 3;
    private const byte Ack = 1 << 4;

    /// <summary>A SYN that is younger has an answer to wait for.</summary>
    private static readonly TimeSpan Young = TimeSpan.FromSeconds(3);

    internal static bool IsYoung(Conversation conversation, TimeSpan reading) => reading - conversation.Start < Young;

    /// <param name="shift">From times since the traffic's begin to the node's clock.</param>
    /// <param name="reading">Since the traffic's begin.</param>
    internal static FlowRecord Make(RecordContext context, Sight sight, DateTimeOffset shift, TimeSpan reading)
    {
        var conversation = sight.Conversation;
        var (observer, generation) = (sight.Pod.Node, sight.Pod.Generation);
        var isSource = sight.Observer == FlowObserver.Source;
        var record = new FlowRecord
        {
            Source = Side(conversation, isSource: true, observer, sight.Steps),
            Destination = Side(conversation, isSource: false, observer, sight.Steps),
            Start = sight.Steps == 0 ? context.Start : shift + sight.First,
            End = sight.Steps == 0 ? context.End : shift + sight.Last,
            FlowStart = conversation.Group == FlowGroup.Connection ? shift + conversation.Start : null,
            Family = IpFamily.Ipv4,
            Protocol = conversation.Protocol,
            Observer = sight.Observer,
            Orientation = conversation.IsTcp ? FlowOrientation.Syn : FlowOrientation.First,
            Connections = sight.Connections,
            SamplingProbability = conversation.Probability,
            InterfaceName = $"veth{generation}",
            Generation = generation,
            EndReason = sight.IsIdle ? FlowEndReason.Idle : null,
        };
        // As the source addresses it, or as it arrives behind the Service.
        if (isSource && conversation.Via is { } service)
        {
            (record.Destination.NatAddress, record.Destination.NatPort) = (record.Destination.Address, record.Destination.Port);
            (record.Destination.Address, record.Destination.Port, record.Destination.End) = (service.Address, service.Port, service.Names);
        }
        if (conversation.IsTcp)
        {
            SetTcp(record, sight, reading);
        }
        else if (IpProtocol.IsIcmp(conversation.Protocol))
        {
            (record.IcmpType, record.IcmpCode) = (8, 0);
        }
        SetGroup(record, conversation);
        var (local, remote) = isSource ? (record.Source, record.Destination) : (record.Destination, record.Source);
        record.Id = EventId.OfFlows(context, generation, conversation.Group, new(conversation.Protocol, local.Address, local.Port, remote.Address, remote.Port), null, null);
        return record;
    }

    private static FlowSide Side(Conversation conversation, bool isSource, int observer, int steps)
    {
        var end = isSource ? conversation.Source : conversation.Destination;
        var sends = isSource || conversation.HasReply;
        var isFoldedPort = isSource ? conversation.Group != FlowGroup.Connection : conversation.Group == FlowGroup.Ports;
        var packets = sends ? (ulong)steps * (isSource ? conversation.SourcePackets : conversation.DestinationPackets) : 0;
        return new()
        {
            Address = end.Address,
            Port = isSource ? conversation.SourcePort : conversation.DestinationPort,
            HasPort = IpProtocol.HasPorts(conversation.Protocol) && !isFoldedPort,
            Bytes = sends ? (ulong)steps * (isSource ? conversation.SourceBytes : conversation.DestinationBytes) : 0,
            Packets = packets,
            Segments = packets,
            End = end.NamesOn(observer),
        };
    }

    private static void SetTcp(FlowRecord record, Sight sight, TimeSpan reading)
    {
        var conversation = sight.Conversation;
        var hasPackets = sight.Steps > 0;
        (record.State, record.Source.TcpFlags, record.Destination.TcpFlags) = conversation.Outcome switch
        {
            Outcome.Refused => ((FlowState?)FlowState.Refused, Syn, (byte)(Rst | Ack)),
            Outcome.Mixed => (null, Syn, (byte)(Rst | Ack)),
            Outcome.HalfOpen => (FlowState.HalfOpen, Syn, (byte)(Syn | Ack)),
            Outcome.Unanswered => (IsYoung(conversation, reading) && hasPackets ? FlowState.Opening : FlowState.Unanswered, Syn, (byte)0),
            _ => (IsClosed(sight) ? FlowState.Closed : FlowState.Open, Answered(sight), Answered(sight)),
        };
        if (!hasPackets)
        {
            (record.Source.TcpFlags, record.Destination.TcpFlags) = (0, 0);
            return;
        }
        record.Syns = conversation.Outcome switch
        {
            Outcome.Unanswered or Outcome.Refused or Outcome.Mixed => conversation.SourcePackets,
            _ => sight.IsFirst ? 2 * conversation.Connections : 0,
        };
        record.Resets = conversation.Outcome == Outcome.Refused ? conversation.Connections : 0;
        if (conversation.IsAnswered)
        {
            (record.SmoothedRttNs, record.MinRttNs, record.Retransmits) = (conversation.Rtt, conversation.Rtt * 4 / 5, 0);
        }
        record.EndReason ??= conversation.Outcome == Outcome.Refused ? FlowEndReason.Reset : IsClosed(sight) ? FlowEndReason.Fin : null;
    }

    private static bool IsClosed(Sight sight) => sight.Conversation.Outcome == Outcome.Answered && sight.IsLast;

    private static byte Answered(Sight sight) => (byte)(Ack | Psh | (sight.IsFirst ? Syn : 0) | (IsClosed(sight) ? Fin : 0));

    private static void SetGroup(FlowRecord record, Conversation conversation)
    {
        var distinct = conversation.Distinct ?? conversation.Connections;
        var examples = Enumerable.Range(1, (int)Math.Min(distinct, FlowRecord.MaxExamples));
        switch (conversation.Group)
        {
            case FlowGroup.Ports:
                record.DistinctPorts = distinct;
                record.ExamplePorts.AddRange(examples.Select(port => (ushort)port));
                break;
            case FlowGroup.Hosts:
                record.DistinctHosts = distinct;
                record.ExampleHosts.AddRange(examples.Select(host => FlowAddress.Parse($"10.9.1.{host}")));
                break;
            case FlowGroup.Sources:
                record.DistinctSources = distinct;
                record.ExampleSources.AddRange(examples.Select(host => FlowAddress.Parse($"198.18.0.{host}")));
                break;
        }
        if (conversation.Group != FlowGroup.Connection)
        {
            record.EndReason = null;
        }
    }
}
