using System.Buffers.Binary;
using System.Text;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Signals.Flows.Shaping;
using Exporter.State;
using Microsoft.Extensions.Configuration;

namespace Exporter.Kernel.Tests;

/// <summary>Drains of one process after the other on pinned maps, whose rows and clocks are chosen.</summary>
public sealed class FlowDrainTests : IDisposable
{
    private const int Ifindex = 7;

    private readonly PinnedNode _node = new();
    private readonly PinDirectory _pins;
    private readonly Ledger _ledger = Ledger.Open(null, [FlowBook.Fields]);
    private readonly PodTable _pods = new();

    public FlowDrainTests()
    {
        _pins = PinDirectory.Open(_node.Pins);
        _pods.Current = _pods.Current.Add(Ifindex, new(new Link(Ifindex, "veth7", "veth", 1, 2, 0), 1, DateTimeOffset.UtcNow.AddHours(-1)));
    }

    public void Dispose()
    {
        _ledger.Dispose();
        _pins.RemoveAll();
        _pins.Dispose();
        _node.Dispose();
    }

    /// <summary>A process is killed between the swap of the maps and its commit, and the next one starts so late that a flow without a packet would be over.</summary>
    [Fact]
    public void A_flow_that_has_packets_in_the_map_that_is_read_next_is_not_over()
    {
        using (var killed = Start())
        {
            var maps = killed.Loaded.Flows!;
            maps.Current.FirstRow = () => RowOf(killed, port: 1, firstAgo: 0);
            maps.Current.EnsureFirstRow();
            maps.Current.FirstRow = () => RowOf(killed, port: 2, firstAgo: 0);
            Drain(killed, later: TimeSpan.Zero);
            maps.Current.FirstRow = () => RowOf(killed, port: 1, firstAgo: 40);
            maps.Read(out _);
        }
        _ledger.Restart();

        using var next = Start();
        var flow = Drain(next, later: TimeSpan.FromSeconds(90)).Single(line => line.Contains("\"port\":1,", StringComparison.Ordinal));

        Assert.Contains("\"orientation\":\"remembered\"", flow, StringComparison.Ordinal);
        Assert.Contains("\"connections\":0", flow, StringComparison.Ordinal);
    }

    private FlowPrograms Start() => FlowPrograms.Load(SignalOf().Options, maxInterfaces: 16, _pins, _ledger.IsCommitted);

    /// <summary>The first drain of a session. Returns the records of its last interval.</summary>
    private string[] Drain(FlowPrograms programs, TimeSpan later)
    {
        var metrics = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry());
        programs.Loaded.Open(SignalOf(), new(_pods, null!, null!, _ledger, metrics, new LaterTime(later), TimeSpan.Zero, TimeSpan.FromSeconds(1)))!.Drain();
        return Encoding.UTF8.GetString(programs.Loaded.Page!.Write()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static FlowSignal SignalOf()
    {
        var settings = new Dictionary<string, string?> { ["Flows:Enabled"] = "true", ["Flows:MaxFlows"] = "64", ["Edges:Classes"] = "pods=10.0.0.0/8" };
        return (FlowSignal)ShapedFlows.Read(new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(settings).Build()), null!);
    }

    /// <summary>The row of a UDP flow whose last packet is of now.</summary>
    /// <param name="firstAgo">The age of its first packet, in seconds.</param>
    private static DrainedRow<FlowKey, FlowValue> RowOf(FlowPrograms programs, ushort port, int firstAgo)
    {
        var (now, rate) = (programs.Loaded.Jiffies!.Read(), programs.Loaded.Jiffies.ReadRate());
        var key = new FlowKey { Ifindex = Ifindex, Family = FlowKey.Ipv4, Protocol = IpProtocol.Udp, LocalPort = BinaryPrimitives.ReverseEndianness(port), RemotePort = 0x3500 };
        ((byte[])[10, 0, 0, 1]).CopyTo((Span<byte>)key.Local);
        ((byte[])[8, 8, 8, 8]).CopyTo((Span<byte>)key.Remote);
        return new(key, new() { Transmit = new() { Packets = 1, Bytes = 100, Segments = 1, First = now - (uint)(firstAgo * rate), Last = now } });
    }

    /// <summary>The clocks of the machine a while later.</summary>
    private sealed class LaterTime(TimeSpan later) : TimeProvider
    {
        public override long GetTimestamp() => base.GetTimestamp() + (long)(later.TotalSeconds * TimestampFrequency);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + later;
    }
}
