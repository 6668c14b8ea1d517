using Exporter.Metrics;
using Prometheus;

namespace Exporter.Export.Elasticsearch;

/// <summary>Rejected records by the type of their error. There may be any type, so those that are not known beforehand share one series.</summary>
internal sealed class ElasticsearchMetrics
{
    private const string Other = "other";

    private static readonly string[] Types =
    [
        "mapper_parsing_exception",
        "document_parsing_exception",
        "strict_dynamic_mapping_exception",
        "illegal_argument_exception",
        "failure_store",
        "too_large",
        "bad_request",
        "no_event_id_or_timestamp",
        Other,
    ];

    private static readonly MetricDefinition RejectedFamily = new(
        MetricType.Counter,
        "podnet_exporter_elasticsearch_rejected_records_total",
        "records",
        "Records that Elasticsearch or OpenSearch does not accept, by the type of its error.",
        new MetricLabel("type", Types))
    {
        Query = "sum by (instance, type) (increase(podnet_exporter_elasticsearch_rejected_records_total[1h])) > 0",
        Details = "The first of each type is logged with its reason. The same records are in podnet_exporter_sink_rejected_records_total, once their batch is written.",
    };

    private readonly Dictionary<string, Counter.Child> _rejected;

    internal ElasticsearchMetrics(IMetricFactory metrics)
    {
        var rejected = RejectedFamily.CreateCounter(metrics);
        _rejected = Types.ToDictionary(type => type, type => rejected.WithLabels(type), StringComparer.Ordinal);
    }

    internal static IReadOnlyList<MetricDefinition> Families => [RejectedFamily];

    internal void CountRejected(string type, int count) => (_rejected.TryGetValue(type, out var known) ? known : _rejected[Other]).Inc(count);
}
