using static Exporter.Records.FieldType;

namespace Exporter.Records;

/// <summary>The fields of the jobs' results: detections, and the matrix of workloads.</summary>
internal static class ResultFields
{
    /// <summary>A detection: the rule, the ends that it is about, and the value that was above the rule's threshold.</summary>
    internal static IReadOnlyList<SchemaField> Detection =>
    [
        new("@timestamp", Date, IsRequired: true),
        new("event.id", Keyword, IsRequired: true),
        new("event.kind", Keyword, IsRequired: true),
        new("event.dataset", Keyword, IsRequired: true),
        new("event.start", Date),
        new("event.end", Date),
        new("rule.name", Keyword, IsRequired: true),
        new("source.ip", Ip),
        .. NamesOf("source"),
        new("destination.ip", Ip),
        new("destination.port", Integer),
        new("destination.class", Keyword),
        .. NamesOf("destination"),
        new("detection.value", Number, IsRequired: true),
        new("detection.threshold", Number, IsRequired: true),
        new("observer.interval", Integer),
        new("k8s.node.name", Keyword),
    ];

    /// <summary>A row of the matrix: a minute and two ends, each a workload or a class.</summary>
    internal static IReadOnlyList<SchemaField> Matrix =>
    [
        new("@timestamp", Date, IsRequired: true),
        new("event.dataset", Keyword, IsRequired: true),
        .. EndOf("source"),
        .. EndOf("destination"),
        new("flow.connections", Integer, IsRequired: true),
        new("tcp.rtt.mean", Number),
    ];

    private static IEnumerable<SchemaField> EndOf(string side) =>
    [
        new($"{side}.k8s.namespace.name", Keyword),
        new($"{side}.k8s.workload.name", Keyword),
        new($"{side}.class", Keyword),
        new($"{side}.bytes", Integer, IsRequired: true),
        new($"{side}.packets", Integer, IsRequired: true),
    ];

    /// <summary>The names that an end has in records.</summary>
    private static IEnumerable<SchemaField> NamesOf(string side) =>
        RecordFields.All.Where(field => field.Path.StartsWith($"{side}.k8s.", StringComparison.Ordinal)).Select(field => SchemaField.Of(field) with { IsRequired = false });
}
