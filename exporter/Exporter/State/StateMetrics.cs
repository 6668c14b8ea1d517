using Exporter.Bpf;
using Exporter.Metrics;
using Prometheus;

namespace Exporter.State;

/// <summary>The families about what outlives the process.</summary>
internal sealed class StateMetrics(IMetricFactory metrics)
{
    private static readonly MetricDefinition PinnedFamily = new(MetricType.Gauge, "podnet_exporter_pinned", "0 or 1", "1 if programs, maps and counters are pinned and survive a restart.")
    {
        Query = "podnet_exporter_pinned == 0",
        Details = "0: `Bpf:PinDirectory` is empty or cannot be used; the log says why. A restart then resets the counters, and traffic between two runs is not counted.",
    };

    private static readonly MetricDefinition UnpinnedFamily = new(
        MetricType.Gauge, "podnet_exporter_ledger_unpinned_records", "records", "Records of the ledger that are not in pinned memory: a restart loses their counts.")
    {
        Query = "podnet_exporter_ledger_unpinned_records > 0",
    };

    private static readonly MetricDefinition UndecidedFamily = new(
        MetricType.Gauge, "podnet_exporter_undecided_pin_directories", "folders", "Folders in the pin directory that the last start kept because the kernel did not say whether their network namespaces exist.")
    {
        Query = "podnet_exporter_undecided_pin_directories > 0",
        Details = "Folders of namespaces that are gone are removed by the next start. `podnet-exporter uninstall --all` removes these, with everything else.",
    };

    internal static IReadOnlyList<MetricDefinition> Families => [PinnedFamily, UnpinnedFamily, UndecidedFamily];

    private readonly Gauge _pinned = PinnedFamily.CreateGauge(metrics);
    private readonly Gauge _unpinned = UnpinnedFamily.CreateGauge(metrics);

    /// <param name="pins">Null: nothing is pinned.</param>
    internal void Update(PinDirectory? pins, Ledger ledger)
    {
        _pinned.Set(pins is { IsLost: false } ? 1 : 0);
        _unpinned.Set(ledger.Unpinned);
    }

    /// <summary>Folders of pins that the start kept, since it is not known whether their network namespaces exist.</summary>
    internal Gauge UndecidedPins { get; } = UndecidedFamily.CreateGauge(metrics);
}
