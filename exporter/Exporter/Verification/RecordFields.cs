using static Exporter.Verification.RecordField;

namespace Exporter.Verification;

/// <summary>The paths of the fields, and which of them a record of each dataset has to have.</summary>
internal static class RecordFields
{
    private static readonly Dictionary<RecordField, (string Path, FieldKind Kind)> Definitions = new()
    {
        [Timestamp] = ("@timestamp", FieldKind.Time),
        [Id] = ("event.id", FieldKind.Id),
        [EventDataset] = ("event.dataset", FieldKind.Text),
        [Schema] = ("podnet.schema", FieldKind.Count),
        [Node] = ("k8s.node.name", FieldKind.Text),
        [Epoch] = ("observer.epoch", FieldKind.Text),
        [Interval] = ("observer.interval", FieldKind.Count),
        [Sequence] = ("observer.sequence", FieldKind.Count),
        [InterfaceName] = ("observer.interface.name", FieldKind.Text),
        [InterfaceId] = ("observer.interface.id", FieldKind.Text),
        [FlowObserver] = ("flow.observer", FieldKind.Text),
        [SourceBytes] = ("source.bytes", FieldKind.Count),
        [SourcePackets] = ("source.packets", FieldKind.Count),
        [SourceNamespace] = ("source.k8s.namespace.name", FieldKind.Text),
        [SourcePod] = ("source.k8s.pod.name", FieldKind.Text),
        [SourceWorkload] = ("source.k8s.workload.name", FieldKind.Text),
        [SourceIp] = ("source.ip", FieldKind.Text),
        [SourcePort] = ("source.port", FieldKind.Count),
        [SourceClass] = ("source.class", FieldKind.Text),
        [SourceService] = ("source.k8s.service.name", FieldKind.Text),
        [SourceNatIp] = ("source.nat.ip", FieldKind.Text),
        [SourceNatPort] = ("source.nat.port", FieldKind.Count),
        [DestinationBytes] = ("destination.bytes", FieldKind.Count),
        [DestinationPackets] = ("destination.packets", FieldKind.Count),
        [DestinationNamespace] = ("destination.k8s.namespace.name", FieldKind.Text),
        [DestinationPod] = ("destination.k8s.pod.name", FieldKind.Text),
        [DestinationWorkload] = ("destination.k8s.workload.name", FieldKind.Text),
        [DestinationIp] = ("destination.ip", FieldKind.Text),
        [DestinationPort] = ("destination.port", FieldKind.Count),
        [DestinationClass] = ("destination.class", FieldKind.Text),
        [DestinationService] = ("destination.k8s.service.name", FieldKind.Text),
        [DestinationNatIp] = ("destination.nat.ip", FieldKind.Text),
        [DestinationNatPort] = ("destination.nat.port", FieldKind.Count),
        [Transport] = ("network.transport", FieldKind.Text),
        [ProtocolNumber] = ("network.iana_number", FieldKind.Count),
        [FlowState] = ("flow.state", FieldKind.Text),
        [SmoothedRtt] = ("tcp.rtt.smoothed", FieldKind.Count),
        [RestReason] = ("rest.reason", FieldKind.Text),
        [RestDirection] = ("rest.direction", FieldKind.Text),
        [RestBytes] = ("rest.bytes", FieldKind.Count),
        [RestPackets] = ("rest.packets", FieldKind.Count),
        [IntervalRecords] = ("interval.records", FieldKind.Count),
        [IntervalBytes] = ("interval.bytes", FieldKind.Count),
        [Issued] = ("interval.issued", FieldKind.Count),
        [Acknowledged] = ("interval.acknowledged", FieldKind.Count),
        [Lost] = ("interval.lost", FieldKind.Count),
        [IdentityIp] = ("identity.ip", FieldKind.Text),
        [IdentityFrom] = ("identity.from", FieldKind.Time),
    };

    private static readonly RecordField[] OfInterface = [Epoch, Interval, Sequence, InterfaceName, InterfaceId];

    private static readonly RecordField[] OfEvery = [Timestamp, Id, Schema, Node];

    private static readonly RecordField[] OfFlow = [.. OfEvery, .. OfInterface, FlowObserver, SourceBytes, SourcePackets, DestinationBytes, DestinationPackets];

    private static readonly RecordField[] OfRest = [.. OfEvery, .. OfInterface, RestReason, RestDirection, RestBytes, RestPackets];

    private static readonly RecordField[] OfClosing = [.. OfEvery, Epoch, Interval, Sequence, IntervalRecords, IntervalBytes, Issued, Acknowledged, Lost];

    private static readonly RecordField[] OfIdentity = [.. OfEvery, IdentityIp, IdentityFrom];

    /// <summary>The fields that a verification reads: the required ones, and the names of pods. Their texts are few, so a reader keeps each once.</summary>
    internal static IReadOnlyList<RecordField> Verified { get; } =
        [EventDataset, .. OfFlow, .. OfRest, .. OfClosing, .. OfIdentity, SourceNamespace, SourcePod, DestinationNamespace, DestinationPod];

    /// <summary>All fields, for a table of records.</summary>
    internal static IReadOnlyList<RecordField> All { get; } = Enum.GetValues<RecordField>();

    internal static int Count => All.Count;

    internal static string PathOf(RecordField field) => Definitions[field].Path;

    internal static FieldKind KindOf(RecordField field) => Definitions[field].Kind;

    /// <summary>The fields that are in every record of a dataset.</summary>
    internal static ReadOnlySpan<RecordField> RequiredOf(Dataset dataset) => dataset switch
    {
        Dataset.Flow => OfFlow,
        Dataset.Rest => OfRest,
        Dataset.Interval => OfClosing,
        _ => OfIdentity,
    };
}
