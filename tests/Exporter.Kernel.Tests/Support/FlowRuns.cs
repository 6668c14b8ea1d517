using Exporter.Bpf;
using Exporter.Signals.Flows;
using Exporter.Signals.Traffic;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The packet programs with flows on, and what they count of made-up packets.</summary>
public sealed class FlowRuns : IDisposable
{
    /// <summary>TCX_NEXT, or TC_ACT_UNSPEC.</summary>
    private const int Next = -1;

    private readonly FlowPrograms _programs;
    private readonly HashReader<FlowKey, FlowValue> _flowReader;
    private readonly HashReader<TrafficKey, TrafficValue> _trafficReader;

    public FlowRuns()
        : this(new FlowOptions(IsOn: true, TimeSpan.FromSeconds(10), MaxFlows: 4096, MaxFlowsPerPod: 100, Sampling: 1))
    {
    }

    internal FlowRuns(FlowOptions options, int maxInterfaces = 16, int interfaces = 1)
    {
        _programs = FlowPrograms.Load(options, maxInterfaces);
        _programs.Loaded.Limits.Interfaces = interfaces;
        (_flowReader, _trafficReader) = (new(Flows.Active), new(_programs.Traffic.Active));
        Clear();
    }

    internal DoubleBufferedMap<FlowKey, FlowValue> Flows => _programs.Flows;

    internal void Run(bool transmit, ReadOnlySpan<byte> packet, SkbContext context, int times = 1)
    {
        var (result, _) = (transmit ? _programs.Transmit : _programs.Receive).TestRun(packet, context.ToArray(), times);
        if (result != Next)
        {
            Assert.Fail($"The program returned {result} for {Convert.ToHexString(packet)}.");
        }
    }

    /// <summary>What is in the maps, which are empty then.</summary>
    internal FlowCounts Take()
    {
        var counts = new FlowCounts();
        foreach (var (key, value) in _flowReader.ReadAndClear(Flows.Active))
        {
            if (key.IsFlow)
            {
                counts.Flows.Add((key, value));
            }
            else if (key.Ifindex != 0)
            {
                counts.Rests.Add((key, FlowRest.Of(value)));
            }
        }
        foreach (var (key, value) in _trafficReader.ReadAndClear(_programs.Traffic.Active))
        {
            counts.Traffic[key.Ifindex] = value;
        }
        Flows.EnsureFirstRow();
        return counts;
    }

    /// <summary>Throws away what a failed test left, and has the limits in the map that its options say.</summary>
    internal void Clear()
    {
        _ = Take();
        Flows.Read();
        Flows.Clear();
        Flows.Read();
        Flows.Clear();
    }

    public void Dispose() => _programs.Dispose();
}

/// <summary>All that the programs have counted.</summary>
internal sealed class FlowCounts
{
    internal List<(FlowKey Key, FlowValue Value)> Flows { get; } = [];

    internal List<(FlowKey Key, FlowRest Row)> Rests { get; } = [];

    internal Dictionary<int, TrafficValue> Traffic { get; } = [];

    /// <summary>Packets and bytes in flows and rests of a direction of an interface.</summary>
    internal (ulong Packets, ulong Bytes) SumOf(int ifindex, bool transmit)
    {
        var (packets, bytes) = (0ul, 0ul);
        foreach (var (key, value) in Flows.Where(flow => flow.Key.Ifindex == ifindex))
        {
            var half = transmit ? value.Transmit : value.Receive;
            (packets, bytes) = (packets + half.Packets, bytes + half.Bytes);
        }
        foreach (var (key, rest) in Rests.Where(rest => rest.Key.Ifindex == ifindex && rest.Key.IsTransmit == transmit))
        {
            foreach (var count in (ReadOnlySpan<FlowCount>)rest.Unrecorded)
            {
                (packets, bytes) = (packets + count.Packets, bytes + count.Bytes);
            }
        }
        return (packets, bytes);
    }

    /// <summary>That all of an interface's traffic is in flows and rests.</summary>
    internal void AssertAddUp(int ifindex)
    {
        var traffic = Traffic.GetValueOrDefault(ifindex);
        Assert.Equal((traffic.Transmit.Total.Packets, traffic.Transmit.Total.Bytes), SumOf(ifindex, transmit: true));
        Assert.Equal((traffic.Receive.Total.Packets, traffic.Receive.Total.Bytes), SumOf(ifindex, transmit: false));
    }

    internal ulong Unrecorded(int ifindex, bool transmit, int reason)
    {
        var found = 0ul;
        foreach (var (_, rest) in Rests.Where(rest => rest.Key.Ifindex == ifindex && rest.Key.IsTransmit == transmit))
        {
            found += rest.Unrecorded[reason].Packets;
        }
        return found;
    }
}
