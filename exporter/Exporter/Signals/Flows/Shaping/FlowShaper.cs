using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Records;
using EventId = Exporter.Records.EventId;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>
/// Filters flows, makes groups of them, and samples them where there are more than the budget of the interval. All traffic of the rows is in exactly one record
/// or in the rests. Memory is as much as the largest interval needed; nothing is allocated once there was one as large.
/// </summary>
/// <param name="period">The usual length of an interval.</param>
internal sealed class FlowShaper(ShapingOptions options, TimeSpan period) : IFlowShaper
{
    /// <summary>An interval that ended early has the budget of so long at least.</summary>
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(1);

    /// <summary>The clock of the node may have been set in between.</summary>
    private static readonly TimeSpan Most = TimeSpan.FromMinutes(10);

    private readonly FlowFilter _filter = new(options.Include, options.Exclude);
    private readonly HiddenAddresses _addresses = new(options.Addresses, options.PrefixV4, options.PrefixV6);
    private readonly FlowGroups _groups = new();
    private readonly FlowFolding _folding = new(new());
    private readonly PodShares _pods = new();
    private readonly Dictionary<EventId, int> _byId = [];
    private readonly List<ShapedFlow> _flows = [];
    private readonly List<FlowSums> _sums = [];

    /// <summary>The flows and groups that have records.</summary>
    private readonly List<int> _kept = [];

    public ulong Digest { get; } = options.Digest;

    public AddressPolicy Addresses => options.Addresses;

    public IReadOnlyList<RecordField> Fields { get; } = options.ChooseFields();

    /// <summary>
    /// The rate as long as the interval was; from a pressure of a half on less, up to a hundredth; above nine tenths none.
    /// </summary>
    public long FindBudget(TimeSpan elapsed, double pressure)
    {
        const double High = 0.5, TooHigh = 0.9, LeastPart = 0.01;
        if (pressure > TooHigh)
        {
            return 0;
        }
        var least = period < Least ? period : Least;
        var counted = elapsed < least ? least : elapsed > Most ? Most : elapsed;
        var part = pressure <= High ? 1 : Math.Max(1 - ((pressure - High) / (TooHigh - High)), LeastPart);
        return Math.Max((long)(options.MaxRecordsPerSecond * counted.TotalSeconds * part), 1);
    }

    public int Shape(FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, FlowRecordMaker maker)
    {
        var all = new FlowRows(interval, rows, maker);
        _pods.Begin();
        _byId.Clear();
        _flows.Clear();
        _sums.Clear();
        _kept.Clear();
        for (var i = 0; i < interval.Flows.Length; i++)
        {
            Take(all, i);
        }
        var flows = CollectionsMarshal.AsSpan(_flows);
        if (options.Aggregate != FlowAggregation.Connection)
        {
            CompleteGroups(all, flows);
        }
        var level = _pods.Divide(flows, interval.Budget);
        if (!double.IsPositiveInfinity(level) && options.Aggregate != FlowAggregation.Workload)
        {
            _folding.Fold(all, flows, _sums, _pods.All);
            level = _pods.Divide(flows, interval.Budget);
        }
        _pods.FindProbabilities(flows, level, interval.Budget);
        Choose(all, flows);
        return _kept.Count;
    }

    public FlowRecord Make(int number, FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, FlowRecordMaker maker)
    {
        ref readonly var flow = ref CollectionsMarshal.AsSpan(_flows)[_kept[number]];
        var record = new FlowRows(interval, rows, maker).Make(flow.First);
        record.Id = flow.IsGroup ? flow.Id : FlowRecordMaker.IdOf(interval, interval.Flows[flow.First]);
        if (flow.IsGroup)
        {
            _sums[flow.Sums].Fill(record, _groups.ClassOf(interval.Flows[flow.First].Remote));
            FlowGroups.Blank(flow.Group, record);
        }
        if (flow.IsFolded)
        {
            _folding.Fill(record, flow);
        }
        var probability = flow.Probability / options.Sampling;
        record.SamplingProbability = probability < 1 ? probability : null;
        return record;
    }

    public void Hide(FlowRecord record) => _addresses.Hide(record);

    /// <summary>Takes a flow as one that may have a record, or into its group, or into the rest.</summary>
    private void Take(in FlowRows rows, int number)
    {
        ref readonly var flow = ref rows.Interval.Flows[number];
        var value = rows.ValueOf(flow);
        var bytes = value.Transmit.Bytes + value.Receive.Bytes;
        var local = rows.Maker.FindPod(flow);
        RestReason? reason =
            _filter.IsFiltered(flow, local) ? RestReason.Filtered
            : options.Aggregate == FlowAggregation.None ? RestReason.Aggregated
            : rows.Interval.Budget == 0 ? RestReason.Backpressure
            : options.Aggregate == FlowAggregation.Connection && bytes < (ulong)options.MinBytes ? RestReason.Filtered
            : null;
        if (reason is { } known)
        {
            rows.Interval.AddRest(flow, value, known);
        }
        else if (options.Aggregate == FlowAggregation.Connection)
        {
            _flows.Add(new()
            {
                First = number,
                Sums = -1,
                Pod = _pods.Find(flow.Owner),
                Bytes = bytes,
                HasPackets = flow.HasPackets,
                IsFailure = flow.Sight.IsFailure,
            });
        }
        else if (flow.HasPackets)
        {
            AddToGroup(rows, number, local);
        }
    }

    /// <summary>A flow without a packet adds nothing to a group.</summary>
    private void AddToGroup(in FlowRows rows, int number, RecordEnd? local)
    {
        var group = options.Aggregate == FlowAggregation.ServicePort ? FlowGroup.ServicePort : FlowGroup.Workload;
        ref readonly var flow = ref rows.Interval.Flows[number];
        var id = _groups.IdOf(group, rows.Interval, flow, local);
        ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_byId, id, out var exists);
        if (!exists)
        {
            known = _sums.Count;
            _sums.Add(default);
            _flows.Add(new() { First = number, Group = group, Sums = known, Id = id, Pod = _pods.Find(flow.Owner), HasPackets = true });
        }
        CollectionsMarshal.AsSpan(_sums)[known].Add(rows.Make(number), flow.Sight.IsFailure);
    }

    private void CompleteGroups(in FlowRows rows, Span<ShapedFlow> flows)
    {
        foreach (ref var flow in flows)
        {
            ref readonly var sums = ref CollectionsMarshal.AsSpan(_sums)[flow.Sums];
            (flow.Bytes, flow.IsFailure) = (sums.Bytes, sums.IsFailure);
            if (flow.Bytes < (ulong)options.MinBytes)
            {
                AddRest(rows, flow, RestReason.Filtered);
                flow.IsPart = true;
            }
        }
    }

    /// <summary>Draws for each flow whether it has a record: by its id, so that a repeat draws the same.</summary>
    private void Choose(in FlowRows rows, Span<ShapedFlow> flows)
    {
        var pods = _pods.All;
        for (var i = 0; i < flows.Length; i++)
        {
            ref var flow = ref flows[i];
            if (flow.IsPart)
            {
                continue;
            }
            flow.Probability = pods[flow.Pod].ProbabilityOf(flow);
            if (flow.Probability >= 1 || CoinOf(flow.IsGroup ? flow.Id : FlowRecordMaker.IdOf(rows.Interval, rows.Interval.Flows[flow.First])) < flow.Probability)
            {
                _kept.Add(i);
            }
            else
            {
                AddRest(rows, flow, RestReason.Merged);
            }
        }
    }

    /// <summary>The upper 64 bits of an id as a fraction of 1, to the 53 bits that a double has.</summary>
    private static double CoinOf(EventId id) => (ulong)(id.Value >> 75) * (1.0 / (1ul << 53));

    private void AddRest(in FlowRows rows, in ShapedFlow flow, RestReason reason)
    {
        ref readonly var first = ref rows.Interval.Flows[flow.First];
        if (!flow.IsGroup)
        {
            rows.Interval.AddRest(first, rows.ValueOf(first), reason);
            return;
        }
        ref readonly var sums = ref CollectionsMarshal.AsSpan(_sums)[flow.Sums];
        rows.Interval.AddRest(first.Owner, RestDirection.Transmit, reason, sums.Local.Packets, sums.Local.Bytes);
        rows.Interval.AddRest(first.Owner, RestDirection.Receive, reason, sums.Remote.Packets, sums.Remote.Bytes);
    }
}
