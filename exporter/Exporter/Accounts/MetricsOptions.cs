using Exporter.Options;
using Exporter.Pods;

namespace Exporter.Accounts;

/// <summary>Options of the pods' series: their labels, number and retention.</summary>
/// <param name="MaxSeries">Sample lines.</param>
internal sealed record MetricsOptions(
    TimeSpan Retention,
    PodLabelOptions Labels,
    int MaxSeries,
    int MaxPods,
    SeriesLevel Aggregation)
{
    /// <summary>Null: there is no such family.</summary>
    internal SeriesLevel? LevelOf(FamilyLevel family) => family switch
    {
        FamilyLevel.Same => Aggregation,
        FamilyLevel.Pod => SeriesLevel.Pod,
        FamilyLevel.Workload => SeriesLevel.Workload,
        FamilyLevel.Namespace => SeriesLevel.Namespace,
        _ => null,
    };

    internal static MetricsOptions Read(OptionReader reader) => new(
        reader.Duration(
            "Metrics:Retention",
            TimeSpan.FromMinutes(2),
            TimeSpan.Zero,
            TimeSpan.FromDays(1),
            "How long a pod's series stay after its last interface is gone, so that a scrape sees the final totals.",
            isLive: true),
        PodLabelOptions.Read(reader),
        reader.Number(
            "Metrics:MaxSeries",
            30_000,
            1,
            10_000_000,
            "Most sample lines of the pods' families together; blocks of series that do not fit are counted under __other__.",
            isLive: true),
        reader.Number(
            "Metrics:MaxPods", 1000, 0, 65536, "Most pods (workloads, namespaces) with any series of their own; the others are counted under __other__.", isLive: true),
        reader.Choice(
            "Metrics:Aggregation",
            SeriesLevel.Pod,
            "What series stand for: a pod, or together all pods of a workload, or of a namespace.",
            isLive: true,
            values: [SeriesLevel.Pod, SeriesLevel.Workload, SeriesLevel.Namespace]));
}
