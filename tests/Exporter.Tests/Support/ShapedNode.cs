using System.Buffers.Binary;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Peers;
using Exporter.Pods;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Signals.Flows.Shaping;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Tests.Support;

/// <summary>The rows of one interval of a node, which are shaped into records.</summary>
internal sealed class ShapedNode : IDisposable
{
    internal static readonly RecordEnd Internet = new() { Class = "internet" };

    internal static readonly RecordEnd Database = new() { Namespace = "data", Service = "db", Class = "service" };

    private static readonly DateTimeOffset Start = new(2026, 11, 28, 10, 5, 0, TimeSpan.Zero);

    private static readonly FlowClock Clock = new(Start.AddSeconds(10), 100_000, 100);

    private readonly List<DrainedRow<FlowKey, FlowValue>> _rows = [];
    private readonly List<FlowObservation> _flows = [];
    private readonly FlowRecordMaker _maker = new(new(new PodTable(), static () => PeerTable.Of(PeerClasses.BuiltIn), new("", static () => [], static _ => null, NullLogger.Instance)), new(0, 0, null!, null!));
    private readonly RecordWriter _writer = new(RecordFields.All);
    private readonly FlowInterval _interval = new();
    private long _generation;

    internal FlowInterval Interval => _interval;

    /// <summary>The options with these settings. All must be good.</summary>
    internal static ShapingOptions Options(params (string Key, string? Value)[] settings)
    {
        var reader = TestOptions.Reader(settings);
        var options = ShapingOptions.Read(reader, PeerClasses.BuiltIn);
        Assert.Empty(reader.Errors);
        return options;
    }

    internal static FlowShaper Shaper(params (string Key, string? Value)[] settings) => new(Options(settings), TimeSpan.FromSeconds(10));

    /// <param name="name">Of the pod; null: it is not known.</param>
    internal PodInterface AddInterface(string? name, bool isWithoutFlows = false)
    {
        _generation++;
        return new(new Link((int)_generation, $"veth{_generation}", "veth", 1, 2, 0), _generation, Start)
        {
            Pod = name is null ? null : new PodIdentity("shop", name, new(["shop", name])) { Workload = "web", WorkloadKind = "Deployment", IsWithoutFlows = isWithoutFlows },
        };
    }

    /// <summary>Adds a flow. Its pod sends twice as much as the other end, in bytes, and has the address 10.0.0.(generation).</summary>
    /// <param name="bytes">Of both ends.</param>
    /// <param name="rtt">In microseconds; 0: not known.</param>
    internal void Add(
        PodInterface owner,
        ulong bytes,
        int localPort,
        int remotePort = 443,
        uint remote = 0x08080808,
        byte protocol = IpProtocol.Tcp,
        FlowState? state = FlowState.Open,
        bool isLocalSource = true,
        RecordEnd? end = null,
        uint connections = 1,
        uint rtt = 0)
    {
        var value = new FlowValue
        {
            Transmit = Half(bytes - (bytes / 3)),
            Receive = Half(bytes / 3),
            SrttUs = 8 * rtt,
            RttMinUs = rtt,
        };
        value.Transmit.Syns = connections;
        var sight = new FlowSight(isLocalSource, FlowOrientation.Syn, protocol == IpProtocol.Tcp ? state : null, null, connections, Start.AddSeconds(1), rtt == 0 ? null : 1u);
        var key = KeyOf(owner, protocol, localPort, remote, remotePort);
        _flows.Add(new(key, owner, _rows.Count, sight, end ?? Internet));
        _rows.Add(new(key, value));

        FlowHalf Half(ulong bytes) => new() { Bytes = bytes, Packets = (bytes / 100) + 1, Segments = (bytes / 100) + 1, First = 99_100 + ((uint)localPort % 100), Last = 99_900 - ((uint)localPort % 100) };
    }

    /// <summary>Adds a flow without a packet, which has become idle.</summary>
    internal void AddSilent(PodInterface owner, int localPort) =>
        _flows.Add(new(KeyOf(owner, IpProtocol.Tcp, localPort, 0x08080808, 443), owner, -1, new(true, FlowOrientation.Syn, FlowState.Open, FlowEndReason.Idle, 0, null, null), Internet));

    /// <summary>Shapes the interval, and returns what is written of its flows.</summary>
    /// <param name="epoch">Ids, and so the samples, differ with it.</param>
    internal IReadOnlyList<ShapedRecord> Shape(IFlowShaper shaper, long budget, int epoch = 0)
    {
        var records = new List<ShapedRecord>();
        Begin(shaper, budget, epoch);
        var rows = _rows.ToArray();
        var count = shaper.Shape(_interval, rows, _maker);
        for (var i = 0; i < count; i++)
        {
            var record = shaper.Make(i, _interval, rows, _maker);
            record.Sequence = i;
            shaper.Hide(record);
            records.Add(ShapedRecord.Of(record, SampleRecords.Text(_writer.Write(_interval.Context, record))));
        }
        return records;
    }

    /// <summary>Makes a writer of the interval's records.</summary>
    internal FlowWriter Writer(FlowExport export, Func<bool> hurries, Func<bool> leaves) =>
        new(export, _maker, Shaper(), new(new(), null!, TimeSpan.FromMinutes(5)), hurries, leaves, new(), new(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry())));

    /// <summary>Writes the records of the interval, all of which are within its budget.</summary>
    internal void Write(FlowWriter writer)
    {
        Begin(Shaper(), _rows.Count, epoch: 0);
        writer.Write(_interval, _rows.ToArray());
    }

    /// <summary>Shapes the interval and makes its records, and returns the bytes that this has allocated.</summary>
    internal long AllocatedBy(IFlowShaper shaper, long budget)
    {
        Begin(shaper, budget, epoch: 0);
        var rows = _rows.ToArray();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var count = shaper.Shape(_interval, rows, _maker);
        for (var i = 0; i < count; i++)
        {
            shaper.Hide(shaper.Make(i, _interval, rows, _maker));
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    public void Dispose() => _writer.Dispose();

    /// <summary>The traffic of all rows, by interface and direction.</summary>
    internal Dictionary<(long Generation, RestDirection Direction), FlowCount> CountRows()
    {
        var counts = new Dictionary<(long, RestDirection), FlowCount>();
        foreach (var flow in _flows.Where(flow => flow.HasPackets))
        {
            var value = _rows[flow.Row].Value;
            Count(counts, (flow.Owner.Generation, RestDirection.Transmit), value.Transmit.Packets, value.Transmit.Bytes);
            Count(counts, (flow.Owner.Generation, RestDirection.Receive), value.Receive.Packets, value.Receive.Bytes);
        }
        return counts;
    }

    /// <summary>The traffic of records and rests of the interval that was shaped last, by interface and direction.</summary>
    internal Dictionary<(long Generation, RestDirection Direction), FlowCount> CountRecords(IEnumerable<ShapedRecord> records)
    {
        var counts = new Dictionary<(long, RestDirection), FlowCount>();
        foreach (var record in records)
        {
            Count(counts, (record.Generation, RestDirection.Transmit), record.Local.Packets, record.Local.Bytes);
            Count(counts, (record.Generation, RestDirection.Receive), record.Remote.Packets, record.Remote.Bytes);
        }
        foreach (var rest in _interval.Rests)
        {
            foreach (var reason in RestCounts.Reasons)
            {
                Count(counts, (rest.Owner.Generation, rest.Direction), rest[reason].Packets, rest[reason].Bytes);
            }
        }
        return counts;
    }

    /// <summary>The packets in rests, by reason.</summary>
    internal ulong RestPackets(RestReason reason) => _interval.Rests.Aggregate(0ul, (sum, rest) => sum + rest[reason].Packets);

    private static void Count(Dictionary<(long, RestDirection), FlowCount> counts, (long, RestDirection) place, ulong packets, ulong bytes)
    {
        if (packets > 0 || bytes > 0)
        {
            var before = counts.GetValueOrDefault(place);
            counts[place] = new(before.Packets + packets, before.Bytes + bytes);
        }
    }

    private void Begin(IFlowShaper shaper, long budget, int epoch)
    {
        var bytes = new byte[RecordObserver.EpochLength];
        BinaryPrimitives.WriteInt32BigEndian(bytes, epoch);
        var observer = new RecordObserver(bytes, "node-0", "") { Salt = shaper.Addresses == AddressPolicy.Full ? default : bytes };
        _interval.Begin(new(observer, 31, Clock.ReadAt, Start, Clock.ReadAt, shaper.Addresses), Clock, budget);
        foreach (var flow in _flows)
        {
            _interval.Add(flow);
        }
    }

    private static FlowKey KeyOf(PodInterface owner, byte protocol, int localPort, uint remote, int remotePort)
    {
        var key = new FlowKey
        {
            Ifindex = owner.Ifindex,
            Family = FlowKey.Ipv4,
            Protocol = protocol,
            LocalPort = BinaryPrimitives.ReverseEndianness((ushort)localPort),
            RemotePort = BinaryPrimitives.ReverseEndianness((ushort)remotePort),
        };
        BinaryPrimitives.WriteUInt32BigEndian(key.Local, 0x0a000000 | (uint)owner.Generation);
        BinaryPrimitives.WriteUInt32BigEndian(key.Remote, remote);
        return key;
    }
}
