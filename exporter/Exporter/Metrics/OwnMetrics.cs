using Prometheus;

namespace Exporter.Metrics;

/// <summary>
/// The registry of the families about the exporter itself. It lives as long as the process, so that none of their counters goes back when options
/// change; the pods' series are in a registry of each session.
/// </summary>
internal sealed class OwnMetrics
{
    public OwnMetrics()
    {
        DotNetStats.Register(Registry);
        Factory = Prometheus.Metrics.WithCustomRegistry(Registry);
    }

    internal CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    internal IMetricFactory Factory { get; }
}
