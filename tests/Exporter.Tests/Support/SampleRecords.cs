using System.Text;
using Exporter.Records;

namespace Exporter.Tests.Support;

/// <summary>A record of each kind; together they have every field. Their lines are in Recordings/records.jsonl.</summary>
internal static class SampleRecords
{
    internal const string Node = "node-0";

    internal static readonly RecordObserver Observer = new([.. Enumerable.Range(0x90, RecordObserver.EpochLength).Select(value => (byte)value)], Node, "prod");

    internal static readonly RecordContext Context = new(Observer, 31, Time("10:05:10.137"), Time("10:05:00.130"), Time("10:05:10.137"));

    internal static readonly RecordEnd Web = new() { Namespace = "shop", Pod = "web-0", Workload = "web", WorkloadKind = "Deployment" };

    private static readonly RecordEnd Database = new() { Namespace = "data", Service = "db", Class = "service" };

    private static readonly RecordEnd Internet = new() { Class = "internet" };

    /// <summary>The lines, without their ends.</summary>
    internal static IReadOnlyList<string> Lines()
    {
        using var writer = new RecordWriter(RecordFields.All);
        var lines = new List<string>();
        var sequence = 0;
        foreach (var flow in Flows())
        {
            flow.Sequence = sequence++;
            lines.Add(Text(writer.Write(Context, flow)));
        }
        foreach (var rest in Rests)
        {
            rest.Sequence = sequence++;
            lines.Add(Text(writer.Write(Context, rest)));
        }
        lines.Add(Text(writer.Write(Context, new IntervalRecord { Sequence = sequence, Sink = "kafka", Records = (ulong)sequence, Bytes = 31200, Issued = 120911, Acknowledged = 120872, Lost = 0 })));
        lines.Add(Text(writer.Write(Context, Identity)));
        lines.Add(Text(writer.Write(Context with { Addresses = AddressPolicy.Prefix }, Prefixed())));
        return lines;
    }

    internal static string Text(ReadOnlySpan<byte> line) => Encoding.UTF8.GetString(line).TrimEnd('\n');

    internal static IReadOnlyList<FlowRecord> Flows() => [Tcp(), Udp(), Icmp(), Icmpv6(), Gre(), FoldedPorts(), FoldedHosts(), FoldedSources()];

    internal static IReadOnlyList<RestRecord> Rests =>
    [
        new() { Reason = RestReason.MapFull, Direction = RestDirection.Transmit, Bytes = 120034, Packets = 512, Pod = Web, InterfaceName = "veth1a2b", Generation = 12 },
        new() { Reason = RestReason.NotIp, Direction = RestDirection.Receive, Bytes = 84, Packets = 2, Pod = Web, InterfaceName = "veth1a2b", Generation = 12 },
    ];

    internal static IdentityRecord Identity => new()
    {
        Timestamp = Time("10:05:00.000"),
        Address = FlowAddress.Parse("10.0.0.14"),
        From = Time("09:12:40.000"),
        Pod = Web,
        PodUid = "3f0f0d4e-3c5f-4c43-8d3b-0a7a5a3f9b11",
    };

    internal static FlowRecord Tcp()
    {
        var flow = Flow(IpProtocol.Tcp, Side("10.0.0.14", 45717, 4600, 12, Web), Side("10.96.0.5", 5432, 59081, 66, Database));
        flow.Source.TcpFlags = flow.Destination.TcpFlags = 0b11010;
        flow.Destination.NatAddress = FlowAddress.Parse("10.3.0.19");
        flow.Destination.NatPort = 5432;
        (flow.Syns, flow.Resets, flow.SmoothedRttNs, flow.MinRttNs, flow.Retransmits) = (1, 0, 880_500, 704_000, 0);
        (flow.State, flow.Connections, flow.FlowStart) = (FlowState.Open, 1, flow.Start);
        return flow;
    }

    /// <summary>An answer of another node's pod behind a Service, of which the rest of the connection is older than the process.</summary>
    private static FlowRecord Udp()
    {
        var dns = new RecordEnd { Namespace = "kube-system", Workload = "coredns", WorkloadKind = "Deployment", Pod = "coredns-5d78c9869d-abcde", Service = "kube-dns", Class = "pods" };
        var flow = Flow(IpProtocol.Udp, Side("fd00:10:3::19", 53, 310, 2, dns), Side("fd00:10::14", 40001, 0, 0, Web));
        flow.Source.NatAddress = FlowAddress.Parse("fd00:96::a");
        flow.Source.NatPort = 53;
        flow.Destination.End = new() { Namespace = "shop", Pod = "web-0", Workload = "web", WorkloadKind = "Deployment", Service = "web" };
        (flow.Observer, flow.Orientation, flow.EndReason, flow.SamplingProbability) = (FlowObserver.Destination, FlowOrientation.Remembered, FlowEndReason.Idle, 0.25);
        return flow;
    }

    private static FlowRecord Icmp()
    {
        var flow = Flow(IpProtocol.Icmp, Side("10.0.0.14", null, 98, 1, Web), Side("8.8.8.8", null, 98, 1, Internet));
        (flow.IcmpType, flow.IcmpCode, flow.Connections, flow.Orientation) = (8, 0, 1, FlowOrientation.First);
        return flow;
    }

    private static FlowRecord Icmpv6()
    {
        var flow = Flow(IpProtocol.Icmpv6, Side("fe80::260:97ff:fe07:69ea", null, 86, 1, new() { Class = "node" }), Side("fe80::200:86ff:fe05:80da", null, 0, 0, Web));
        (flow.IcmpType, flow.IcmpCode, flow.Observer, flow.Orientation) = (1, 4, FlowObserver.Destination, FlowOrientation.First);
        return flow;
    }

    private static FlowRecord Gre()
    {
        const byte GenericEncapsulation = 47;
        var flow = Flow(GenericEncapsulation, Side("10.0.0.14", null, 1400, 1, Web), Side("192.0.2.9", null, 0, 0, Internet));
        flow.Orientation = FlowOrientation.First;
        return flow;
    }

    private static FlowRecord FoldedPorts()
    {
        var flow = Folded(Side("10.0.0.14", null, 6000, 100, Web), Side("10.3.0.20", null, 5400, 100, new() { Class = "pods" }), FlowState.Refused);
        flow.DistinctPorts = 100;
        flow.ExamplePorts.AddRange([1, 22, 65535]);
        (flow.Resets, flow.EndReason) = (100, FlowEndReason.Reset);
        return flow;
    }

    private static FlowRecord FoldedHosts()
    {
        var flow = Folded(Side("10.0.0.14", null, 6000, 100, Web), new() { Port = 22, HasPort = true }, FlowState.Unanswered);
        flow.DistinctHosts = 100;
        flow.ExampleHosts.AddRange([FlowAddress.Parse("10.3.0.20"), FlowAddress.Parse("10.3.0.21")]);
        return flow;
    }

    private static FlowRecord FoldedSources()
    {
        var flow = Folded(new() { Bytes = 6000, Packets = 100, Segments = 100 }, Side("fd00:10::14", 443, 5400, 90, Web), FlowState.HalfOpen);
        flow.DistinctSources = 100;
        flow.ExampleSources.AddRange([FlowAddress.Parse("2001:db8::1"), FlowAddress.Parse("2001:db8:1::")]);
        flow.Observer = FlowObserver.Destination;
        return flow;
    }

    /// <summary>As Flows:Addresses=prefix has it.</summary>
    private static FlowRecord Prefixed()
    {
        var flow = Tcp();
        flow.Source.Address = flow.Source.Address.Prefix(24);
        flow.Destination.Address = flow.Destination.Address.Prefix(24);
        return flow;
    }

    private static FlowRecord Folded(FlowSide source, FlowSide destination, FlowState state)
    {
        var flow = Flow(IpProtocol.Tcp, source, destination);
        (flow.State, flow.Connections, flow.Syns) = (state, 100, 100);
        flow.Source.TcpFlags = 0b10;
        return flow;
    }

    private static FlowRecord Flow(byte protocol, FlowSide source, FlowSide destination) => new()
    {
        Source = source,
        Destination = destination,
        Id = EventId.OfFlow(Context, 12, new(protocol, source.Address, source.Port, destination.Address, destination.Port)),
        Start = Time("10:05:03.120"),
        End = Time("10:05:09.870"),
        Protocol = protocol,
        InterfaceName = "veth1a2b",
        Generation = 12,
    };

    private static FlowSide Side(string address, ushort? port, ulong bytes, ulong packets, RecordEnd end) => new()
    {
        Address = FlowAddress.Parse(address),
        Port = port ?? 0,
        HasPort = port is not null,
        Bytes = bytes,
        Packets = packets,
        Segments = packets,
        End = end,
    };

    private static DateTimeOffset Time(string time) => DateTimeOffset.Parse($"2026-11-28T{time}Z", System.Globalization.CultureInfo.InvariantCulture);
}
