using Exporter.Metrics;
using Prometheus;

namespace Exporter.Edges;

/// <summary>The families about the series of edges.</summary>
internal sealed class EdgeMetrics(IMetricFactory metrics)
{
    private static readonly MetricDefinition EdgesFamily = new(
        MetricType.Gauge, "podnet_exporter_edges", "edges", "Edges that have series of their own, without __other__ and __unrecorded__.")
    {
        Query = "sum by (instance) (podnet_exporter_edges)",
    };

    private static readonly MetricDefinition FoldedFamily = new(
        MetricType.Gauge, "podnet_exporter_edges_folded", "edges", "Edges that have no room for series and are counted under `__other__`.")
    {
        Query = "podnet_exporter_edges_folded > 0",
        Details = "At most 16384 edges without room are known by themselves; the count ends there. The option `Edges:MaxSeries` makes more room.",
    };

    internal static IReadOnlyList<MetricDefinition> Families => [EdgesFamily, FoldedFamily];

    internal Gauge Edges { get; } = EdgesFamily.CreateGauge(metrics);

    internal Gauge Folded { get; } = FoldedFamily.CreateGauge(metrics);
}
