using System.Text.Json;
using static Exporter.Records.FieldType;
using static Exporter.Records.RecordDataset;

namespace Exporter.Records;

/// <summary>The fields of every kind of records, and those of the kinds that are not flows.</summary>
internal static class EventFields
{
    private static readonly RecordDataset[] Every = [Flow, Rest, Interval, Identity];

    private static readonly RecordDataset[] Numbered = [Flow, Rest, Interval];

    private static readonly JsonEncodedText[] Datasets = [default, .. Enum.GetValues<RecordDataset>().Select(dataset => RecordText.Encode(RecordText.NameOf(dataset)))];

    private static readonly JsonEncodedText[] Reasons = RecordText.Names<RestReason>();

    private static readonly JsonEncodedText[] Directions = RecordText.Names<RestDirection>();

    internal static IEnumerable<RecordField> OfEvent =>
    [
        new("@timestamp", Date, "", "Time of the reading, the same in every record of a node's interval; of an identity, when it was announced.", Every, (record, to) => to.Time(record.Timestamp)) { IsRequired = true },
        new("event.id", Keyword, "", "Id of the record, which a repeat of it has too.", Every, WriteId) { IsRequired = true, Pattern = "^[A-Za-z0-9_-]{22}$" },
        new("event.dataset", Keyword, "", "Kind of the record.", Every, (record, to) => to.Text(Datasets[(int)record.Dataset])) { IsRequired = true, Values = [.. Every.Select(RecordText.NameOf)] },
        new("event.start", Date, "", "First packet in the interval; of rest and interval records, when the interval began.", Numbered, (record, to) => to.Time(record.Start)) { IsRequired = true },
        new("event.end", Date, "", "Last packet in the interval; of rest and interval records, when the interval ended.", Numbered, (record, to) => to.Time(record.End)) { IsRequired = true },
        new("event.duration", Integer, "nanoseconds", "From event.start to event.end.", [Flow], (record, to) => to.Integer(DurationOf(record))) { IsRequired = true },
    ];

    internal static IEnumerable<RecordField> OfRest =>
    [
        new("rest.reason", Keyword, "", "Why the traffic is in no flow record.", [Rest], (record, to) => to.Text(Reasons[(int)record.Rest.Reason])) { IsRequired = true, Values = Values(Reasons) },
        new("rest.direction", Keyword, "", "Direction of the traffic from the pod's view.", [Rest], (record, to) => to.Text(Directions[(int)record.Rest.Direction])) { IsRequired = true, Values = Values(Directions) },
        new("rest.bytes", Integer, "bytes", "Bytes that are in no flow record.", [Rest], (record, to) => to.Integer(record.Rest.Bytes)) { IsRequired = true },
        new("rest.packets", Integer, "packets", "Packets that are in no flow record.", [Rest], (record, to) => to.Integer(record.Rest.Packets)) { IsRequired = true },
    ];

    internal static IEnumerable<RecordField> OfInterval =>
    [
        new("interval.records", Integer, "records", "Flow and rest records of this interval.", [Interval], (record, to) => to.Integer(record.Interval.Records)) { IsRequired = true },
        new("interval.bytes", Integer, "bytes", "JSON of the flow and rest records of this interval.", [Interval], (record, to) => to.Integer(record.Interval.Bytes)) { IsRequired = true },
        new("interval.issued", Integer, "records", "Flow and rest records for this sink since the epoch began.", [Interval], (record, to) => to.Integer(record.Interval.Issued)) { IsRequired = true },
        new("interval.acknowledged", Integer, "records", "Issued records that this sink has acknowledged.", [Interval], (record, to) => to.Integer(record.Interval.Acknowledged)) { IsRequired = true },
        new("interval.lost", Integer, "records", "Issued records that this sink will not get. The others are on their way.", [Interval], (record, to) => to.Integer(record.Interval.Lost)) { IsRequired = true },
    ];

    internal static IEnumerable<RecordField> OfIdentity =>
    [
        new("identity.ip", Ip, "", "Address of a pod of the observer's node.", [Identity], (record, to) => to.Address(record.Identity.Address)) { IsRequired = true },
        new("identity.from", Date, "", "When the pod's interface had the address.", [Identity], (record, to) => to.Time(record.Identity.From)) { IsRequired = true },
    ];

    internal static IEnumerable<RecordField> OfObserver =>
    [
        new("observer.epoch", Keyword, "", "Life of the node's ledger: interval numbers and sums begin again with another one.", Numbered, (record, to) => to.Text(record.Context.Observer.EpochText)) { IsRequired = true, Pattern = "^[A-Za-z0-9_-]{22}$" },
        new("observer.interval", Integer, "", "Number of the interval.", Numbered, (record, to) => to.Integer(record.Context.Interval)) { IsRequired = true },
        new("observer.sequence", Integer, "", "Number of the record in its interval, from 0; the interval record is the last.", Numbered, (record, to) => to.Integer(record.Sequence)) { IsRequired = true },
        new("observer.interface.name", Keyword, "", "Name of the interface that was counted.", [Flow, Rest], (record, to) => to.Text(record.InterfaceName)) { IsRequired = true },
        new("observer.interface.id", Keyword, "", "Epoch and generation of the interface that was counted: no other interface has the same.", [Flow, Rest], WriteInterface) { IsRequired = true, Pattern = "^[A-Za-z0-9_-]{22}-[0-9]+$" },
        .. EndFields.OfIdentity,
        new("k8s.node.name", Keyword, "", "The observer's node.", Every, (record, to) => to.Text(record.Context.Observer.NodeText)) { IsRequired = true },
        new("k8s.cluster.name", Keyword, "", "The observer's cluster (Kubernetes:ClusterName).", Every, (record, to) => to.Text(record.Context.Observer.ClusterText)),
        new("podnet.schema", Integer, "", "Number of the schema. Within a number fields are only added.", Every, (_, to) => to.Integer(RecordFields.Schema)) { IsRequired = true, Values = [$"{RecordFields.Schema}"] },
    ];

    /// <summary>The texts of an enum as the definitions have them.</summary>
    internal static IReadOnlyList<string> Values(JsonEncodedText[] texts) => [.. texts.Select(text => text.Value)];

    /// <summary>Between the times as they are written.</summary>
    private static ulong DurationOf(RecordView record)
    {
        const ulong NanosecondsInMillisecond = 1_000_000;
        return (ulong)Math.Max(0, record.End.ToUnixTimeMilliseconds() - record.Start.ToUnixTimeMilliseconds()) * NanosecondsInMillisecond;
    }

    private static void WriteId(RecordView record, FieldWriter to)
    {
        Span<byte> text = stackalloc byte[EventId.TextLength];
        record.Id.Format(text);
        to.Text(text);
    }

    private static void WriteInterface(RecordView record, FieldWriter to)
    {
        const int MaxGeneration = 20;
        var epoch = record.Context.Observer.EpochText.EncodedUtf8Bytes;
        Span<byte> text = stackalloc byte[EventId.TextLength + 1 + MaxGeneration];
        epoch.CopyTo(text);
        text[epoch.Length] = (byte)'-';
        _ = record.Generation.TryFormat(text[(epoch.Length + 1)..], out var digits);
        to.Text(text[..(epoch.Length + 1 + digits)]);
    }
}
