using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>Remembers flows from one interval to the next: who began, when, and whether it is over. Bounded. Used by the drain alone.</summary>
/// <param name="room">The most flows.</param>
internal sealed class FlowTable(int room)
{
    /// <summary>A flow without a packet for so long is over, and a packet after that begins another.</summary>
    internal static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(60);

    private readonly Dictionary<FlowKey, Flow> _flows = [];

    private ulong _interval;

    internal int Count => _flows.Count;

    /// <summary>Flows that were not remembered because there was no room.</summary>
    internal long Forgotten { get; private set; }

    /// <summary>Begins an interval, whose rows follow.</summary>
    internal void Begin() => _interval++;

    /// <summary>Takes a row.</summary>
    /// <param name="generation">Of the interface.</param>
    /// <param name="countedSince">Since when the interface's flows are counted.</param>
    /// <param name="guess">Which end of a flow has begun, where no packet shows it.</param>
    internal FlowSight See(
        in FlowKey key, in FlowValue value, long generation, DateTimeOffset countedSince, in FlowClock clock, Func<FlowKey, (bool IsLocalSource, FlowOrientation Orientation)> guess)
    {
        var first = clock.TimeOf(value.Transmit.First != 0 ? value.Transmit.First : value.Receive.First);
        var isNew = !_flows.TryGetValue(key, out var flow) || flow.Generation != generation || first - flow.LastPacket >= IdleAfter;
        if (isNew)
        {
            flow = new(generation);
            if (_flows.Count < room || _flows.ContainsKey(key))
            {
                _flows[key] = flow;
            }
            else
            {
                Forgotten++;
            }
        }
        flow!.SeenIn = _interval;
        return flow.See(key, value, isNew, wasSilent: first - countedSince >= IdleAfter, clock, guess);
    }

    /// <summary>Looks at the flows that had no packet in the interval, and forgets those that are over.</summary>
    /// <param name="say">Is given each flow that there is a record of all the same.</param>
    internal void Sweep(in FlowClock clock, Action<FlowKey, long, FlowSight> say)
    {
        foreach (var (key, flow) in _flows)
        {
            if (flow.SeenIn == _interval)
            {
                continue;
            }
            var isIdle = clock.ReadAt - flow.LastPacket >= IdleAfter;
            if (flow.TryMiss(clock, isIdle, out var sight))
            {
                say(key, flow.Generation, sight);
            }
            if (isIdle)
            {
                // Removing does not disturb the enumeration of a Dictionary.
                _flows.Remove(key);
            }
        }
    }
}
