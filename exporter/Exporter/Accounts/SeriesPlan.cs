using Exporter.Pods;

namespace Exporter.Accounts;

/// <summary>
/// Which blocks there are at which level, and how the budget of sample lines is divided: what the host, the <c>__other__</c> of all and the node's own
/// interfaces can need is set aside, a share is for the others of single namespaces while no pod waits, and the rest is for pods.
/// </summary>
internal sealed record SeriesPlan(IReadOnlyList<LevelPlan> Levels, int MaxSeries, int MaxPods)
{
    /// <summary>One part in so many of the budget is for the others of single namespaces.</summary>
    private const int NamespaceShare = 16;

    /// <summary>Lines of series beside these, which have a pool of their own within the budget.</summary>
    internal int Beside { get; init; }

    /// <summary>Lines that have their place whatever comes.</summary>
    internal int FixedLines => Levels.Sum(level => (level.Reserved * level.Lines) + level.HostLines) + Beside;

    internal int NamespaceLines => Math.Min(MaxSeries / NamespaceShare, MaxSeries - FixedLines);

    internal int PodLines => MaxSeries - FixedLines - NamespaceLines;

    /// <summary>How many pods, workloads or namespaces have room where each of them has every block.</summary>
    internal int Capacity => Math.Min(MaxPods, PodLines / Levels.Where(level => level.IsOfPods).Sum(level => level.Lines));

    /// <summary>How many have room where they have the blocks of these, each as often as the others.</summary>
    /// <param name="mix">The kinds of blocks of each.</param>
    internal int CapacityOf(IReadOnlyList<IReadOnlyList<string>> mix) =>
        (int)Math.Min(MaxPods, (long)PodLines * mix.Count / mix.Sum(kinds => Levels.Sum(level => kinds.Sum(kind => level.CountLines(level.BlocksOf(kind))))));

    internal static SeriesPlan Create(MetricsOptions options, IReadOnlyList<SignalColumns> signals) => new(
        [.. Enum.GetValues<SeriesLevel>().Select(level => new LevelPlan(level, signals)).Where(level => level.Lines > 0)], options.MaxSeries, options.MaxPods);
}
