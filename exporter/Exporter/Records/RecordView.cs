namespace Exporter.Records;

/// <summary>The record that is being written, and the parts that records of several kinds have.</summary>
internal sealed class RecordView
{
    private RecordContext? _context;
    private FlowRecord? _flow;
    private RestRecord? _rest;
    private IntervalRecord? _interval;
    private IdentityRecord? _identity;

    internal RecordDataset Dataset { get; private set; }

    internal EventId Id { get; private set; }

    internal DateTimeOffset Timestamp { get; private set; }

    internal DateTimeOffset Start { get; private set; }

    internal DateTimeOffset End { get; private set; }

    internal long Sequence { get; private set; }

    internal string InterfaceName { get; private set; } = "";

    internal long Generation { get; private set; }

    /// <summary>Null: the record has no name of that end.</summary>
    internal RecordEnd? SourceEnd { get; private set; }

    /// <summary>As <see cref="SourceEnd"/>.</summary>
    internal RecordEnd? DestinationEnd { get; private set; }

    internal RecordContext Context => _context!;

    internal FlowRecord Flow => _flow!;

    internal RestRecord Rest => _rest!;

    internal IntervalRecord Interval => _interval!;

    internal IdentityRecord Identity => _identity!;

    internal ref readonly FlowSide Side(bool isSource) => ref isSource ? ref Flow.Source : ref Flow.Destination;

    internal RecordEnd? EndOf(bool isSource) => isSource ? SourceEnd : DestinationEnd;

    internal void Show(RecordContext context, FlowRecord flow)
    {
        Show(context, RecordDataset.Flow, flow.Id, flow.Sequence);
        _flow = flow;
        (Start, End) = (flow.Start, flow.End);
        (InterfaceName, Generation) = (flow.InterfaceName, flow.Generation);
        (SourceEnd, DestinationEnd) = (flow.Source.End, flow.Destination.End);
    }

    internal void Show(RecordContext context, RestRecord rest)
    {
        Show(context, RecordDataset.Rest, EventId.OfRest(context, rest.Generation, rest.Direction, rest.Reason), rest.Sequence);
        _rest = rest;
        (InterfaceName, Generation) = (rest.InterfaceName, rest.Generation);
        (SourceEnd, DestinationEnd) = rest.Direction == RestDirection.Transmit ? (rest.Pod, null) : ((RecordEnd?)null, rest.Pod);
    }

    internal void Show(RecordContext context, IntervalRecord interval)
    {
        Show(context, RecordDataset.Interval, EventId.OfInterval(context, interval.Sink), interval.Sequence);
        _interval = interval;
    }

    internal void Show(RecordContext context, IdentityRecord identity)
    {
        Show(context, RecordDataset.Identity, EventId.OfIdentity(context, identity.Address, identity.Timestamp), sequence: 0);
        _identity = identity;
        Timestamp = identity.Timestamp;
    }

    private void Show(RecordContext context, RecordDataset dataset, EventId id, long sequence)
    {
        _context = context;
        (Dataset, Id, Sequence) = (dataset, id, sequence);
        (Timestamp, Start, End) = (context.Timestamp, context.Start, context.End);
    }
}
