using Exporter.Pods;

namespace Exporter.Accounts;

/// <summary>
/// Which columns there are at which level, and how the budget of sample lines is divided: what the host and <c>__other__</c> can need is
/// set aside, a share is for the others of single namespaces, and the rest for pods.
/// </summary>
internal sealed record SeriesPlan(IReadOnlyList<LevelPlan> Levels, int MaxSeries, int MaxPods)
{
    /// <summary>One part in so many of the budget is for the others of single namespaces.</summary>
    private const int NamespaceShare = 16;

    /// <summary>Lines that have their place whatever comes.</summary>
    internal int FixedLines => Levels.Sum(level => level.Lines + level.HostLines);

    internal int NamespaceLines => Math.Min(MaxSeries / NamespaceShare, MaxSeries - FixedLines);

    internal int PodLines => MaxSeries - FixedLines - NamespaceLines;

    /// <summary>How many pods, workloads or namespaces can have series of their own.</summary>
    internal int Capacity => Math.Min(MaxPods, PodLines / Levels.Sum(level => level.Lines));

    internal static SeriesPlan Create(MetricsOptions options, IReadOnlyList<SignalColumns> signals) => new(
        [.. Enum.GetValues<SeriesLevel>().Select(level => new LevelPlan(level, signals)).Where(level => level.Lines > 0)], options.MaxSeries, options.MaxPods);
}
