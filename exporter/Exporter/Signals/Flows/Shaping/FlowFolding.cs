using System.Runtime.InteropServices;
using Exporter.Records;
using EventId = Exporter.Records.EventId;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>
/// Folds failed connections of pods above their share: of one source to several ports of one destination; of the others, of one source to one port of several
/// destinations; of the rest, of several sources to one destination and port; and at last those that differ in the source's port alone.
/// </summary>
internal sealed class FlowFolding(FlowGroups groups)
{
    private static readonly Comparison<Value> InOrder = static (one, other) =>
        one.Group != other.Group ? one.Group.CompareTo(other.Group)
        : one.Address != other.Address ? one.Address.CompareTo(other.Address)
        : one.Port.CompareTo(other.Port);

    /// <summary>In the order in which they are looked for, and whether the flows of such a group have to differ in more than the source's port.</summary>
    private static readonly (FlowGroup Group, bool Differs)[] Groups = [(FlowGroup.Ports, true), (FlowGroup.Hosts, true), (FlowGroup.Sources, true), (FlowGroup.Ports, false)];

    private readonly Dictionary<EventId, Candidates> _byId = [];

    /// <summary>The parts in which the flows of each group differ, in their order.</summary>
    private readonly List<Value> _values = [];

    /// <summary>Where the values of each group begin.</summary>
    private readonly List<int> _starts = [];

    private int _firstGroup;

    /// <summary>Folds failures of pods that are above their share.</summary>
    /// <param name="sums">Of groups; those of folded ones are added.</param>
    internal void Fold(in FlowRows rows, Span<ShapedFlow> flows, List<FlowSums> sums, ReadOnlySpan<PodShare> pods)
    {
        _values.Clear();
        _starts.Clear();
        _firstGroup = sums.Count;
        foreach (var (group, differs) in Groups)
        {
            _byId.Clear();
            foreach (ref readonly var flow in flows)
            {
                if (IsCandidate(flow, pods))
                {
                    var value = Value.Of(group, 0, rows.Interval.Flows[flow.First]);
                    ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_byId, IdOf(group, rows, flow), out var exists);
                    known = exists ? known with { IsGroup = known.IsGroup || !differs || value != known.First } : new(value, IsGroup: false, Sums: -1);
                }
            }
            foreach (ref var flow in flows)
            {
                if (IsCandidate(flow, pods))
                {
                    FoldIn(group, rows, ref flow, sums);
                }
            }
        }
        _values.Sort(InOrder);
        for (var i = 0; i < _values.Count; i++)
        {
            if (i == 0 || _values[i].Group != _values[i - 1].Group)
            {
                _starts.Add(i);
            }
        }
    }

    /// <summary>Writes the counts and the examples of a group. A port that all have stays.</summary>
    internal void Fill(FlowRecord record, in ShapedFlow flow)
    {
        var number = flow.Sums - _firstGroup;
        var (from, to) = (_starts[number], number + 1 < _starts.Count ? _starts[number + 1] : _values.Count);
        var distinct = 0ul;
        for (var i = from; i < to; i++)
        {
            var value = _values[i];
            if (i > from && value == _values[i - 1])
            {
                continue;
            }
            if (distinct++ >= FlowRecord.MaxExamples)
            {
                continue;
            }
            switch (flow.Group)
            {
                case FlowGroup.Ports:
                    record.ExamplePorts.Add(value.Port);
                    break;
                case FlowGroup.Hosts:
                    record.ExampleHosts.Add(value.Address);
                    break;
                default:
                    record.ExampleSources.Add(value.Address);
                    break;
            }
        }
        record.DistinctPorts = flow.Group == FlowGroup.Ports ? distinct : 0;
        record.Destination.HasPort |= record.DistinctPorts == 1;
        record.DistinctHosts = flow.Group == FlowGroup.Hosts ? distinct : 0;
        record.DistinctSources = flow.Group == FlowGroup.Sources ? distinct : 0;
    }

    private static bool IsCandidate(in ShapedFlow flow, ReadOnlySpan<PodShare> pods) => flow is { IsSampled: true, IsFailure: true } && pods[flow.Pod].IsAbove;

    private EventId IdOf(FlowGroup group, in FlowRows rows, in ShapedFlow flow) => groups.IdOf(group, rows.Interval, rows.Interval.Flows[flow.First], local: null);

    private void FoldIn(FlowGroup group, in FlowRows rows, ref ShapedFlow flow, List<FlowSums> sums)
    {
        var id = IdOf(group, rows, flow);
        ref var known = ref CollectionsMarshal.GetValueRefOrNullRef(_byId, id);
        if (!known.IsGroup)
        {
            return;
        }
        var own = default(FlowSums);
        if (flow.IsGroup)
        {
            own = sums[flow.Sums];
        }
        else
        {
            own.Add(rows.Make(flow.First), isFailure: true);
        }
        if (known.Sums >= 0)
        {
            CollectionsMarshal.AsSpan(sums)[known.Sums].Add(own);
            flow.IsPart = true;
        }
        else
        {
            known = known with { Sums = sums.Count };
            (flow.Group, flow.Id, flow.Sums) = (group, id, sums.Count);
            sums.Add(own);
        }
        _values.Add(Value.Of(group, known.Sums, rows.Interval.Flows[flow.First]));
    }

    /// <summary>Flows of one id.</summary>
    /// <param name="First">The part in which they may differ, of the first of them.</param>
    /// <param name="Sums">The number of their sums; less than 0: there are none yet.</param>
    private readonly record struct Candidates(Value First, bool IsGroup, int Sums);

    /// <param name="Group">The number of the group's sums.</param>
    private readonly record struct Value(int Group, FlowAddress Address, ushort Port)
    {
        internal static Value Of(FlowGroup group, int number, in FlowObservation flow)
        {
            var (key, isLocalSource) = (flow.Key, flow.Sight.IsLocalSource);
            return group switch
            {
                FlowGroup.Ports => new(number, default, isLocalSource ? key.RemotePortNumber : key.LocalPortNumber),
                FlowGroup.Hosts => new(number, isLocalSource ? key.RemoteAddress : key.LocalAddress, 0),
                _ => new(number, isLocalSource ? key.LocalAddress : key.RemoteAddress, 0),
            };
        }
    }
}
