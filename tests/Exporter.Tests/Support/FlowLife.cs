using Exporter.Records;
using Exporter.Signals.Flows;

namespace Exporter.Tests.Support;

/// <summary>One flow after the other through a flow table, by packets and readings; with restarts, another process continues after each reading.</summary>
/// <param name="restarts">Whether the memory is closed and opened again between any two intervals.</param>
internal sealed class FlowLife(bool restarts, int room = 8, FlowLimits? limits = null) : IDisposable
{
    internal const ushort High = 50_000, Low = 443;

    private static readonly UInt128 Epoch = new(1, 2);

    private readonly KeptMemory _memory = new();
    private readonly FlowMap _map = new();
    private FlowSlots? _slots;
    private FlowTable? _table;

    /// <summary>The pod is the client, by its ports.</summary>
    internal static FlowKey Tcp { get; } = FlowMap.KeyOf(6, High, Low);

    /// <summary>Both ports are high.</summary>
    internal static FlowKey Udp { get; } = FlowMap.KeyOf(17, High, High + 1);

    internal FlowKey Key { get; set; } = Tcp;

    /// <summary>The last one that was read.</summary>
    internal ulong Interval { get; private set; }

    internal long Generation { get; set; } = 3;

    /// <summary>Seconds: since when the interface's flows are counted.</summary>
    internal double CountedSince { get; set; } = -1000;

    /// <summary>What the table asks where no packet shows who began: by the ports.</summary>
    internal Func<FlowKey, (bool IsLocalSource, FlowOrientation Orientation)> Guess { get; set; } = key => (key.LocalPortNumber >= key.RemotePortNumber, FlowOrientation.Port);

    internal FlowTable Table => _table ??= Open();

    /// <summary>The silent flows of the last reading.</summary>
    internal List<FlowSight> Silent { get; } = [];

    /// <summary>The flows with packets of the last reading.</summary>
    internal Dictionary<FlowKey, FlowSight> Seen { get; } = [];

    /// <summary>The packets that follow are of this flow.</summary>
    internal FlowLife With(in FlowKey key)
    {
        Key = key;
        return this;
    }

    /// <summary>A packet that the pod has sent.</summary>
    internal FlowLife Pod(double at, string flags = "", uint seq = 0, uint? retransmits = null)
    {
        _map.Count(Key, isFromPod: true, at, flags, seq, retransmits);
        return this;
    }

    /// <summary>A packet that the pod has received.</summary>
    internal FlowLife Peer(double at, string flags = "", uint seq = 0)
    {
        _map.Count(Key, isFromPod: false, at, flags, seq);
        return this;
    }

    internal FlowLife Handshake(double at, uint seq = 1) => Pod(at, "S", seq, 0).Peer(at, "SA").Pod(at, "A");

    /// <summary>Ends an interval, and commits it. Returns the sight of the flow with packets.</summary>
    internal FlowSight Read(double at)
    {
        var clock = FlowMap.ClockOf(at);
        if (restarts)
        {
            Restart();
        }
        Silent.Clear();
        Table.Begin(++Interval);
        Seen.Clear();
        foreach (var row in _map.Rows)
        {
            Seen[row.Key] = Table.See(row.Key, row.Value, Generation, FlowMap.TimeOf(CountedSince), clock, Guess);
        }
        Table.Sweep(clock, (_, _, sight) => Silent.Add(sight));
        Table.End();
        _map.Clear();
        return Seen.Count == 1 ? Seen.Values.Single() : default;
    }

    internal void Restart()
    {
        Dispose();
        _table = Open();
    }

    public void Dispose() => _slots?.Dispose();

    private FlowTable Open()
    {
        _slots = FlowSlots.Open(_memory, room, Epoch, Interval, FlowMap.Epoch);
        return new(_slots, Interval, limits);
    }
}
