using System.Text.Json;
using static Exporter.Records.FieldType;
using static Exporter.Records.RecordDataset;

namespace Exporter.Records;

/// <summary>The fields that only flows have, but for the fields of their ends.</summary>
internal static class FlowFields
{
    private static readonly JsonEncodedText[] Families = RecordText.Names<IpFamily>();

    private static readonly JsonEncodedText[] Transports = [.. Enumerable.Range(0, byte.MaxValue + 1).Select(protocol => RecordText.Encode(IpProtocol.NameOf((byte)protocol)))];

    private static readonly JsonEncodedText[] Observers = RecordText.Names<FlowObserver>();

    private static readonly JsonEncodedText[] Orientations = RecordText.Names<FlowOrientation>();

    private static readonly JsonEncodedText[] States = RecordText.Names<FlowState>();

    private static readonly JsonEncodedText[] EndReasons = RecordText.Names<FlowEndReason>();

    /// <summary>The flags of a TCP header (RFC 9293), those of every connection first.</summary>
    private static readonly (byte Bit, JsonEncodedText Text)[] Flags =
    [
        (1 << 1, RecordText.Encode("SYN")),
        (1 << 4, RecordText.Encode("ACK")),
        (1 << 3, RecordText.Encode("PSH")),
        (1 << 0, RecordText.Encode("FIN")),
        (1 << 2, RecordText.Encode("RST")),
        (1 << 5, RecordText.Encode("URG")),
        (1 << 6, RecordText.Encode("ECE")),
        (1 << 7, RecordText.Encode("CWR")),
    ];

    internal static IEnumerable<RecordField> OfNetwork =>
    [
        new("network.type", Keyword, "", "Version of IP.", [Flow], (record, to) => WriteFamily(record.Flow, to)) { IsRequired = true, Values = EventFields.Values(Families[1..]) },
        new("network.transport", Keyword, "", "Name of the protocol; absent for others.", [Flow], (record, to) => to.Text(Transports[record.Flow.Protocol])) { Values = [.. EventFields.Values(Transports).Where(name => name.Length > 0)] },
        new("network.iana_number", Integer, "", "Number of the protocol.", [Flow], (record, to) => to.Integer((ulong)record.Flow.Protocol)) { IsRequired = true, Maximum = byte.MaxValue },
        new("network.community_id", Keyword, "", "Community ID (version 1, seed 0) of the flow; absent where the record has no full addresses, or is of several flows.", [Flow], WriteCommunityId) { Pattern = "^1:[A-Za-z0-9+/]{27}=$" },
    ];

    internal static IEnumerable<RecordField> OfTcp =>
    [
        new("tcp.flags.source", Keyword, "", "Flags of the packets of the end that began, in the interval.", [Flow], (record, to) => to.Texts(Flags, IsTcp(record) ? record.Flow.Source.TcpFlags : (byte)0)) { IsList = true, Values = FlagNames },
        new("tcp.flags.destination", Keyword, "", "Flags of the packets of the other end, in the interval.", [Flow], (record, to) => to.Texts(Flags, IsTcp(record) ? record.Flow.Destination.TcpFlags : (byte)0)) { IsList = true, Values = FlagNames },
        new("tcp.syn.count", Integer, "packets", "Packets with SYN in the interval, of both ends.", [Flow], (record, to) => to.Integer(IsTcp(record) ? record.Flow.Syns : null)),
        new("tcp.rst.count", Integer, "packets", "Packets with RST in the interval, of both ends.", [Flow], (record, to) => to.Integer(IsTcp(record) ? record.Flow.Resets : null)),
        new("tcp.rtt.smoothed", Integer, "nanoseconds", "Smoothed round-trip time by the socket of the observer's pod; of several flows, their mean weighted by packets. Absent where it is not known.", [Flow], (record, to) => to.Integer(IsTcp(record) ? record.Flow.SmoothedRttNs : null)),
        new("tcp.rtt.min", Integer, "nanoseconds", "Least round-trip time by the socket of the observer's pod; absent where it is not known.", [Flow], (record, to) => to.Integer(IsTcp(record) ? record.Flow.MinRttNs : null)),
        new("tcp.retransmits", Integer, "packets", "Retransmissions in the interval by the socket of the observer's pod; absent where they are not known.", [Flow], (record, to) => to.Integer(IsTcp(record) ? record.Flow.Retransmits : null)),
    ];

    internal static IEnumerable<RecordField> OfIcmp =>
    [
        new("icmp.type", Integer, "", "Type of the messages of ICMP or ICMPv6.", [Flow], (record, to) => to.Integer(IsIcmp(record) ? record.Flow.IcmpType : null)) { Maximum = byte.MaxValue },
        new("icmp.code", Integer, "", "Code of the messages of ICMP or ICMPv6.", [Flow], (record, to) => to.Integer(IsIcmp(record) ? record.Flow.IcmpCode : null)) { Maximum = byte.MaxValue },
    ];

    internal static IEnumerable<RecordField> OfFlow =>
    [
        new("flow.observer", Keyword, "", "End whose interface was counted.", [Flow], (record, to) => to.Text(Observers[(int)record.Flow.Observer])) { IsRequired = true, Values = EventFields.Values(Observers) },
        new("flow.orientation", Keyword, "", "How it was decided which end began.", [Flow], (record, to) => to.Text(Orientations[(int)record.Flow.Orientation])) { IsRequired = true, Values = EventFields.Values(Orientations) },
        new("flow.state", Keyword, "", "State of a TCP connection at the reading; of several, where all have the same.", [Flow], (record, to) => Write(States, (int?)record.Flow.State, to)) { Values = EventFields.Values(States) },
        new("flow.end_reason", Keyword, "", "Why the flow has ended; absent while it has not.", [Flow], (record, to) => Write(EndReasons, (int?)record.Flow.EndReason, to)) { Values = EventFields.Values(EndReasons) },
        new("flow.connections", Integer, "connections", "Connections of the record that began in the interval.", [Flow], (record, to) => to.Integer(record.Flow.Connections)) { IsRequired = true },
        new("flow.start", Date, "", "First packet of the connection; absent where it is not known, or the record is of several.", [Flow], (record, to) => to.Time(record.Flow.FlowStart)),
        new("flow.distinct.ports", Integer, "ports", "Of a folded record, the destination's ports.", [Flow], (record, to) => WriteCount(record.Flow.DistinctPorts, to)),
        new("flow.distinct.hosts", Integer, "addresses", "Of a folded record, the destinations.", [Flow], (record, to) => WriteCount(record.Flow.DistinctHosts, to)),
        new("flow.distinct.sources", Integer, "addresses", "Of a folded record, the sources.", [Flow], (record, to) => WriteCount(record.Flow.DistinctSources, to)),
        new("flow.examples.ports", Integer, "", "At most 16 of the ports that flow.distinct.ports counts.", [Flow], (record, to) => to.Integers(record.Flow.ExamplePorts)) { IsList = true, Maximum = ushort.MaxValue },
        new("flow.examples.hosts", Ip, "", "At most 16 of the destinations that flow.distinct.hosts counts.", [Flow], (record, to) => to.Addresses(record.Flow.ExampleHosts)) { IsList = true },
        new("flow.examples.sources", Ip, "", "At most 16 of the sources that flow.distinct.sources counts.", [Flow], (record, to) => to.Addresses(record.Flow.ExampleSources)) { IsList = true },
        new("sampling.probability", Number, "", "Probability with which there is a record, by all samples; absent where it was certain. Divide bytes, packets and connections by it.", [Flow], (record, to) => to.Number(record.Flow.SamplingProbability)) { Maximum = 1 },
    ];

    private static IReadOnlyList<string> FlagNames => [.. Flags.Select(flag => flag.Text.Value)];

    private static bool IsTcp(RecordView record) => record.Flow.Protocol == IpProtocol.Tcp;

    private static bool IsIcmp(RecordView record) => IpProtocol.IsIcmp(record.Flow.Protocol);

    private static void Write(JsonEncodedText[] names, int? value, FieldWriter to)
    {
        if (value is { } known)
        {
            to.Text(names[known]);
        }
    }

    /// <summary>Writes a count, but not 0.</summary>
    private static void WriteCount(ulong count, FieldWriter to) => to.Integer(count == 0 ? null : count);

    private static void WriteFamily(FlowRecord flow, FieldWriter to)
    {
        var family = !flow.Source.Address.IsNone ? flow.Source.Address.Family : !flow.Destination.Address.IsNone ? flow.Destination.Address.Family : flow.Family;
        if (family != IpFamily.None)
        {
            to.Text(Families[(int)family]);
        }
    }

    /// <summary>Writes the Community ID where the record has the whole tuple.</summary>
    private static void WriteCommunityId(RecordView record, FieldWriter to)
    {
        var flow = record.Flow;
        ref readonly var source = ref record.Side(isSource: true);
        ref readonly var destination = ref record.Side(isSource: false);
        if (record.Context.Addresses != AddressPolicy.Full || source.Address.IsNone || destination.Address.IsNone)
        {
            return;
        }
        Span<byte> text = stackalloc byte[CommunityId.TextLength];
        if (IpProtocol.IsIcmp(flow.Protocol))
        {
            if (flow.IcmpType is not { } type || flow.IcmpCode is not { } code)
            {
                return;
            }
            CommunityId.FormatIcmp(flow.Protocol, source.Address, destination.Address, type, code, text);
        }
        else if (!IpProtocol.HasPorts(flow.Protocol))
        {
            CommunityId.FormatWithoutPorts(flow.Protocol, source.Address, destination.Address, text);
        }
        else if (source.HasPort && destination.HasPort)
        {
            CommunityId.Format(flow.Protocol, source.Address, source.Port, destination.Address, destination.Port, text);
        }
        else
        {
            return;
        }
        to.Text(text);
    }
}
