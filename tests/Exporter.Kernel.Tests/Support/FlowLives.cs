using System.Net;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A node with two pods whose flows are recorded each second, for the tests of one class.</summary>
public sealed class FlowLives : IAsyncLifetime
{
    private const string Forwarding = "/proc/sys/net/ipv4/ip_forward";

    private readonly string _forwarding = File.ReadAllText(Forwarding);

    internal FlowNode Node { get; } = new();

    internal ExporterProcess Exporter { get; private set; } = null!;

    internal Pod One { get; private set; } = null!;

    internal Pod Other { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        // The pods reach each other through the host.
        await File.WriteAllTextAsync(Forwarding, "1");
        Exporter = await Node.StartAsync();
        (One, Other) = (await Exporter.AddPodAsync(), await Exporter.AddPodAsync());
    }

    public async ValueTask DisposeAsync()
    {
        Other?.Dispose();
        One?.Dispose();
        Exporter?.Dispose();
        Node.Dispose();
        await File.WriteAllTextAsync(Forwarding, _forwarding);
    }

    /// <summary>Begins to capture what a pod's interface carries.</summary>
    internal FlowLife Watch(Pod pod) => new(Node, pod);
}

/// <summary>What a pod's interface carries from now on: the packets, and the records of them.</summary>
internal sealed class FlowLife : IDisposable
{
    private const int Fin = 0x01, Syn = 0x02, Rst = 0x04, Ack = 0x10;

    /// <summary>Two jiffies at 100 Hz, and as much between the two clocks that a reading asks.</summary>
    internal static readonly TimeSpan Resolution = TimeSpan.FromMilliseconds(40);

    /// <summary>In the order in which a record has them.</summary>
    private static readonly (int Bit, string Name)[] Flags = [(Syn, "SYN"), (Ack, "ACK"), (0x08, "PSH"), (Fin, "FIN"), (Rst, "RST"), (0x20, "URG"), (0x40, "ECE"), (0x80, "CWR")];

    private readonly FlowNode _node;
    private readonly Pod _pod;
    private readonly PacketCapture _capture;
    private readonly DateTimeOffset _began = DateTimeOffset.UtcNow;

    internal FlowLife(FlowNode node, Pod pod) => (_node, _pod, _capture) = (node, pod, new(pod.Interface));

    /// <summary>The packets so far.</summary>
    internal IReadOnlyList<CapturedPacket> Packets => _capture.Packets;

    /// <summary>Ends the capture, and returns its packets.</summary>
    internal IReadOnlyList<CapturedPacket> Stop() => _capture.Stop();

    /// <summary>The records of the pod's interface so far, in their order.</summary>
    internal IEnumerable<FlowLine> Records => _node.Records.Flows.Where(flow => flow.Interface == _pod.Interface && flow.Timestamp > _began);

    /// <summary>Waits for the end of an interval that has all until now.</summary>
    internal Task SettleAsync() => _node.SettleAsync();

    /// <summary>
    /// Waits until all is recorded. Returns the records of one conversation, which have the ends as they are given, and together all that was captured of it.
    /// </summary>
    internal async Task<IReadOnlyList<FlowLine>> EndAsync(string transport, EndPoint source, EndPoint destination)
    {
        int settled;
        do
        {
            // The last answers of a conversation may be on their way while an interval ends.
            settled = Packets.Count;
            await SettleAsync();
        }
        while (Packets.Count != settled);
        var packets = _capture.Stop();
        var (from, to) = ((IPEndPoint)source, (IPEndPoint)destination);
        var tuple = TupleOf(transport, from, to);
        var records = Records.Where(flow => flow.Tuple == tuple || flow.Tuple == TupleOf(transport, to, from)).ToList();
        Assert.NotEmpty(records);
        Assert.All(records, flow => Assert.Equal(tuple, flow.Tuple));
        AssertEqual([.. packets.Where(packet => packet.Transport == transport)], from, to, records);
        AssertTimes(records);
        return records;
    }

    public void Dispose() => _capture.Dispose();

    internal static string TupleOf(string transport, IPEndPoint source, IPEndPoint destination) =>
        FormattableString.Invariant($"{transport} {source.Address} {source.Port} > {destination.Address} {destination.Port}");

    /// <summary>That the records have what was captured of one conversation.</summary>
    internal static void AssertEqual(IReadOnlyList<CapturedPacket> packets, IPEndPoint source, IPEndPoint destination, IReadOnlyList<FlowLine> records)
    {
        var sent = packets.Where(packet => packet.From.Equals(source) && packet.To.Equals(destination)).ToList();
        var answered = packets.Where(packet => packet.From.Equals(destination) && packet.To.Equals(source)).ToList();
        Assert.Equal(
            (sent.Count, sent.Sum(packet => (long)packet.Length), answered.Count, answered.Sum(packet => (long)packet.Length)),
            (Sum("source.packets"), Sum("source.bytes"), Sum("destination.packets"), Sum("destination.bytes")));
        Assert.Equal(FlagsOf(sent), FlagsIn("source"));
        Assert.Equal(FlagsOf(answered), FlagsIn("destination"));
        Assert.Equal(
            (sent.Concat(answered).Count(packet => packet.Has(Syn)), sent.Concat(answered).Count(packet => packet.Has(Rst))),
            (Sum("tcp.syn.count"), Sum("tcp.rst.count")));

        long Sum(string path) => records.Sum(record => record.Number(path));

        string FlagsIn(string end)
        {
            var words = records.SelectMany(record => record.Words($"tcp.flags.{end}").Split(' ')).ToHashSet();
            return string.Join(' ', Flags.Select(flag => flag.Name).Where(words.Contains));
        }
    }

    private static string FlagsOf(List<CapturedPacket> packets) => string.Join(' ', Flags.Where(flag => packets.Any(packet => packet.Has(flag.Bit))).Select(flag => flag.Name));

    /// <summary>That times are in order, and none is outside of what the test has seen.</summary>
    private void AssertTimes(List<FlowLine> records)
    {
        var last = _began - Resolution;
        foreach (var record in records)
        {
            var (start, end) = (record.Time("event.start")!.Value, record.Time("event.end")!.Value);
            Assert.InRange(start, last - Resolution, end);
            Assert.InRange(end, start, record.Timestamp.AddMilliseconds(1));
            Assert.Equal((end - start).TotalMilliseconds, record.Number("event.duration") / 1e6, tolerance: 1);
            last = end;
        }
    }
}
