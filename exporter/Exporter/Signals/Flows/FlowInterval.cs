using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>The flows of one interval as the kernel has them, and its traffic that is in no flow record. Filled for one interval after the other. Used by the drain alone.</summary>
internal sealed class FlowInterval
{
    private readonly Dictionary<(long Generation, RestDirection Direction), RestCounts> _rests = [];
    private FlowObservation[] _flows = [];
    private int _count;

    /// <summary>The part that all its records have in common.</summary>
    internal RecordContext Context { get; private set; } = null!;

    internal FlowClock Clock { get; private set; }

    /// <summary>The most records; 0: all its traffic is rest.</summary>
    internal long Budget { get; private set; }

    internal ReadOnlySpan<FlowObservation> Flows => _flows.AsSpan(0, _count);

    internal IEnumerable<RestCounts> Rests => _rests.Values;

    internal void Begin(RecordContext context, in FlowClock clock, long budget)
    {
        (Context, Clock, Budget, _count) = (context, clock, budget, 0);
        _rests.Clear();
    }

    internal void Add(in FlowObservation flow)
    {
        if (_count == _flows.Length)
        {
            // By a quarter: it is large on a busy node.
            Array.Resize(ref _flows, Math.Max(256, _count / 4 * 5));
        }
        _flows[_count++] = flow;
    }

    internal void AddRest(PodInterface owner, RestDirection direction, RestReason reason, ulong packets, ulong bytes)
    {
        if (packets == 0 && bytes == 0)
        {
            return;
        }
        if (!_rests.TryGetValue((owner.Generation, direction), out var rest))
        {
            _rests[(owner.Generation, direction)] = rest = new(owner, direction);
        }
        rest.Add(reason, packets, bytes);
    }

    /// <summary>Adds all packets of a flow that gets no record of its own.</summary>
    internal void AddRest(in FlowObservation flow, in FlowValue value, RestReason reason)
    {
        AddRest(flow.Owner, RestDirection.Transmit, reason, value.Transmit.Packets, value.Transmit.Bytes);
        AddRest(flow.Owner, RestDirection.Receive, reason, value.Receive.Packets, value.Receive.Bytes);
    }

    /// <summary>Adds the row of an interface.</summary>
    internal void AddRest(PodInterface owner, bool isTransmit, in FlowRest row)
    {
        for (var reason = 0; reason < FlowRest.Reasons; reason++)
        {
            AddRest(owner, isTransmit ? RestDirection.Transmit : RestDirection.Receive, (RestReason)reason, row.Unrecorded[reason].Packets, row.Unrecorded[reason].Bytes);
        }
    }
}
