using System.Text.Json;
using static Exporter.Records.FieldType;
using static Exporter.Records.RecordDataset;

namespace Exporter.Records;

/// <summary>The fields of one end of a flow, and those that name a pod.</summary>
internal static class EndFields
{
    /// <summary>The names of the pod of an identity, which are in the record itself.</summary>
    internal static IEnumerable<RecordField> OfIdentity =>
    [
        new("k8s.namespace.name", Keyword, "", "Namespace of the pod that has the address.", [Identity], (record, to) => Text(to, record.Identity.Pod, end => end.NamespaceText)) { IsRequired = true },
        new("k8s.pod.name", Keyword, "", "Name of the pod that has the address.", [Identity], (record, to) => Text(to, record.Identity.Pod, end => end.PodText)) { IsRequired = true },
        new("k8s.pod.uid", Keyword, "", "UID of the pod that has the address.", [Identity], (record, to) => to.Text(record.Identity.PodUid)),
        new("k8s.workload.name", Keyword, "", "Workload of the pod that has the address.", [Identity], (record, to) => Text(to, record.Identity.Pod, end => end.WorkloadText)),
        new("k8s.workload.kind", Keyword, "", "Kind of that workload.", [Identity], (record, to) => Text(to, record.Identity.Pod, end => end.WorkloadKindText)),
    ];

    internal static IEnumerable<RecordField> Of(bool isSource)
    {
        var side = isSource ? "source" : "destination";
        var who = isSource ? "the end that began" : "the other end";
        var direction = isSource ? "transmitted" : "received";
        RecordDataset[] named = [Flow, Rest];
        return
        [
            new($"{side}.ip", Ip, "", $"Address of {who}; a prefix, or absent, as Flows:Addresses says.", [Flow], (record, to) => to.Address(record.Side(isSource).Address)),
            new($"{side}.port", Integer, "", $"Port of {who}.", [Flow], (record, to) => WritePort(record.Side(isSource), to)) { Maximum = ushort.MaxValue },
            new($"{side}.bytes", Integer, "bytes", $"Bytes that {who} sent in the interval.", [Flow], (record, to) => to.Integer(record.Side(isSource).Bytes)) { IsRequired = true },
            new($"{side}.packets", Integer, "packets", $"Packets that {who} sent in the interval.", [Flow], (record, to) => to.Integer(record.Side(isSource).Packets)) { IsRequired = true },
            new($"{side}.segments", Integer, "packets", $"Packets that {who} sent in the interval as they are on the wire: the stack merges some.", [Flow], (record, to) => to.Integer(record.Side(isSource).Segments)) { IsRequired = true },
            new($"{side}.class", Keyword, "", $"Class of {who}, where it is not a pod of the observer's node.", [Flow], (record, to) => Text(to, record.EndOf(isSource), end => end.ClassText)),
            new($"{side}.nat.ip", Ip, "", $"Address behind the translation of {side}.ip, as the backend of a Service.", [Flow], (record, to) => to.Address(HasNat(record, isSource) ? record.Side(isSource).NatAddress : default)),
            new($"{side}.nat.port", Integer, "", $"Port behind the translation of {side}.port.", [Flow], (record, to) => to.Integer(HasNat(record, isSource) && record.Side(isSource).HasPort ? record.Side(isSource).NatPort : null)) { Maximum = ushort.MaxValue },
            new($"{side}.k8s.namespace.name", Keyword, "", $"Namespace of the pod or Service of {who}; of a rest record, of the pod that {direction}.", named, (record, to) => Text(to, record.EndOf(isSource), end => end.NamespaceText)),
            new($"{side}.k8s.pod.name", Keyword, "", $"Pod of {who}; of a rest record, the pod that {direction}.", named, (record, to) => Text(to, record.EndOf(isSource), end => end.PodText)),
            new($"{side}.k8s.workload.name", Keyword, "", $"Workload of the pod of {who}; of a rest record, of the pod that {direction}.", named, (record, to) => Text(to, record.EndOf(isSource), end => end.WorkloadText)),
            new($"{side}.k8s.workload.kind", Keyword, "", "Kind of that workload.", named, (record, to) => Text(to, record.EndOf(isSource), end => end.WorkloadKindText)),
            new($"{side}.k8s.service.name", Keyword, "", $"Service that {side}.ip belongs to.", [Flow], (record, to) => Text(to, record.EndOf(isSource), end => end.ServiceText)),
        ];
    }

    private static void WritePort(in FlowSide side, FieldWriter to)
    {
        if (side.HasPort)
        {
            to.Integer((ulong)side.Port);
        }
    }

    private static bool HasNat(RecordView record, bool isSource) => record.Context.Addresses == AddressPolicy.Full && !record.Side(isSource).NatAddress.IsNone;

    private static void Text(FieldWriter to, RecordEnd? end, Func<RecordEnd, JsonEncodedText> text)
    {
        if (end is not null)
        {
            to.Text(text(end));
        }
    }
}
