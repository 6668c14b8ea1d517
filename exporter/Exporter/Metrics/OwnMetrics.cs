using Prometheus;

namespace Exporter.Metrics;

/// <summary>
/// The registry of the families about the exporter itself. It lives as long as the process, so that none of their counters goes back when options
/// change. The pods' series are in no registry: they are written from the accounts.
/// </summary>
internal sealed class OwnMetrics
{
    public OwnMetrics()
    {
        _ = new ProcessStatistics(Registry, TimeProvider.System);
        Factory = Prometheus.Metrics.WithCustomRegistry(Registry);
    }

    internal CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    internal IMetricFactory Factory { get; }
}
