using Exporter.Bpf;
using Exporter.Metrics;
using Prometheus;

namespace Exporter.Signals;

/// <summary>The families about reading counters from the kernel.</summary>
internal sealed class DrainMetrics
{
    private static readonly MetricDefinition DurationFamily = new(
        MetricType.Histogram, "podnet_exporter_drain_duration_seconds", "seconds", "Time to read the counters from the kernel, including the RCU grace period.")
    {
        Details = "The drains of flows are not in it: these also write records, and wait for sinks.",
        Bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
        Query = "histogram_quantile(0.99, sum by (le) (rate(podnet_exporter_drain_duration_seconds_bucket[5m])))",
    };

    /// <summary>In the place of a signal: the statistics of programs and maps.</summary>
    private const string Statistics = "statistics";

    private readonly Counter _errors;

    /// <param name="signals">The rows of each signal.</param>
    internal DrainMetrics(IMetricFactory metrics, IReadOnlyList<RowFields> signals)
    {
        Duration = DurationFamily.CreateHistogram(metrics);
        _errors = ErrorsOf(signals).CreateCounter(metrics);
        foreach (var signal in signals)
        {
            _errors.WithLabels(signal.Name).Publish();
        }
        _errors.WithLabels(Statistics).Publish();
    }

    /// <summary>Of the drains of a tick, but for those that may last (<see cref="SignalDrain.HasOwnLoop"/>).</summary>
    internal Histogram Duration { get; }

    internal static IReadOnlyList<MetricDefinition> FamiliesOf(IReadOnlyList<RowFields> signals) => [DurationFamily, ErrorsOf(signals)];

    /// <param name="signal">Null: the statistics of programs and maps could not be read.</param>
    internal void CountError(RowFields? signal) => _errors.WithLabels(signal?.Name ?? Statistics).Inc();

    private static MetricDefinition ErrorsOf(IReadOnlyList<RowFields> signals) => new(
        MetricType.Counter, "podnet_exporter_drain_errors_total", "drains", "Drains that failed; the counters stay in the kernel for the next drain.", new MetricLabel("signal", [.. NamesOf(signals), Statistics]))
    {
        Query = "increase(podnet_exporter_drain_errors_total[1h]) > 0",
        Details = "statistics: the statistics of BPF programs and maps could not be read.",
    };

    private static IEnumerable<string> NamesOf(IReadOnlyList<RowFields> signals) => signals.Select(signal => signal.Name);
}
