using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.State;
using Prometheus;

namespace Exporter.Accounts;

/// <summary>The families about the pods' accounts: how many lines they have, and the counts that are in none of them.</summary>
internal sealed class AccountMetrics
{
    private static readonly MetricDefinition SeriesFamily = new(MetricType.Gauge, "podnet_exporter_series", "sample lines", "Sample lines of the families of pods and of the node's interfaces.")
    {
        Query = "podnet_exporter_series / podnet_exporter_series_limit",
    };

    private static readonly MetricDefinition LimitFamily = new(
        MetricType.Gauge, "podnet_exporter_series_limit", "sample lines", "Limit of sample lines of the families of pods and of the node's interfaces.")
    {
        Query = "sum(podnet_exporter_series_limit)",
        Details = "The option `Metrics:MaxSeries`.",
    };

    private static readonly TotalDefinition UnattributedTotal = new("unattributed", null);
    private static readonly TotalDefinition ExcludedTotal = new("excluded", "for excluded pods");
    private static readonly TotalDefinition FoldedTotal = new(
        "folded", "under __other__, for which the series budget has no room", "The series of `__other__` include them.");

    private static readonly TotalDefinition RetiredTotal = new(
        "retired", "in series that were removed since", "The sum of the series and of this is everything that was counted for them.", IsOfRetired: true);

    private readonly Counter _unheld;

    public AccountMetrics(IMetricFactory metrics, Ledger ledger, IReadOnlyList<SignalTotals> signals)
    {
        SeriesLimit = LimitFamily.CreateGauge(metrics);
        SeriesFolded = FoldedOf(signals);
        Unattributed = new(UnattributedTotal, signals, ledger);
        Excluded = new(ExcludedTotal, signals, ledger);
        Folded = new(FoldedTotal, signals, ledger);
        Retired = new(RetiredTotal, signals, ledger);
        _unheld = UnheldOf(signals).CreateCounter(metrics);
        foreach (var signal in signals)
        {
            _unheld.WithLabels(signal.Fields.Name).Publish();
        }
    }

    internal Gauge SeriesLimit { get; }

    /// <summary>The family of folded blocks, by their kind.</summary>
    internal MetricDefinition SeriesFolded { get; }

    /// <summary>Counts whose pod was not identified in time.</summary>
    internal Totals Unattributed { get; }

    /// <summary>Counts of pods that are to have no series.</summary>
    internal Totals Excluded { get; }

    /// <summary>Counts under <c>__other__</c>, for which there was no room.</summary>
    internal Totals Folded { get; }

    /// <summary>Counts of series that were removed since.</summary>
    internal Totals Retired { get; }

    internal static IReadOnlyList<MetricDefinition> FamiliesOf(IReadOnlyList<SignalTotals> signals) =>
    [
        SeriesFamily, LimitFamily, FoldedOf(signals), UnheldOf(signals),
        .. from total in (TotalDefinition[])[UnattributedTotal, ExcludedTotal, FoldedTotal, RetiredTotal] from family in Totals.FamiliesOf(total, signals) select family,
    ];

    /// <summary>A row became unattributed at once.</summary>
    internal void CountUnheld(RowFields signal) => _unheld.WithLabels(signal.Name).Inc();

    /// <summary>All that is written with the pods' families.</summary>
    /// <param name="countLines">The sample lines of the families of pods.</param>
    /// <param name="countFolded">The blocks of a kind that are folded.</param>
    internal IReadOnlyList<AccountTotal> Show(Func<int> countLines, Func<string, int> countFolded) =>
    [
        new(SeriesFamily, [([], () => (ulong)countLines())]),
        new(SeriesFolded, [.. SeriesFolded.Labels[0].Values.Select(kind => ((IReadOnlyList<string>)[kind], (Func<ulong>)(() => (ulong)countFolded(kind))))]),
        .. from total in (Totals[])[Unattributed, Excluded, Folded, Retired] from family in total.Shown select family,
    ];

    private static MetricDefinition FoldedOf(IReadOnlyList<SignalTotals> signals) => new(
        MetricType.Gauge,
        "podnet_exporter_series_folded",
        "blocks",
        "Blocks of series of pods, or of workloads or namespaces where series stand for these, that have no room and are counted under `__other__`.",
        new MetricLabel("block", [.. signals.SelectMany(signal => signal.Blocks)]))
    {
        Query = "sum by (instance, block) (podnet_exporter_series_folded) > 0",
        Details = "A block is admitted as a whole: [How many series there are](#how-many-series-there-are) lists them.",
    };

    private static MetricDefinition UnheldOf(IReadOnlyList<SignalTotals> signals) => new(
        MetricType.Counter,
        "podnet_exporter_unheld_rows_total",
        "rows",
        "Rows of counters, one for each unidentified pod and drain, that became unattributed at once because no more could be held.",
        new MetricLabel("signal", [.. signals.Select(signal => signal.Fields.Name)]))
    {
        Query = "increase(podnet_exporter_unheld_rows_total[1h]) > 0",
        Details = "Rows are held for at most 4096 interfaces and 4096 network namespaces.",
    };
}
