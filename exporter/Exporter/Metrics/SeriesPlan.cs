using Exporter.Options;
using Exporter.State;

namespace Exporter.Metrics;

/// <summary>The families of one level, and what they cost.</summary>
/// <param name="Durations">Null: there are no families of handshakes.</param>
/// <param name="Bounds">Those of the durations in nanoseconds; null as these.</param>
internal sealed record LevelPlan(SeriesLevel Level, bool HasTraffic, bool HasSegments, bool HasSizes, MetricDefinition? Durations, IReadOnlyList<ulong>? Bounds)
{
    /// <summary>The most sample lines that one pod, workload or namespace can have. All of them are set aside for it.</summary>
    internal int Lines { get; } = Traffic(HasTraffic, HasSegments, HasSizes).Sum(family => family.Lines) + Handshakes(Durations).Sum(family => family.Lines);

    /// <summary>Of these, those of handshakes, which are all that the host has.</summary>
    internal int HandshakeLines { get; } = Handshakes(Durations).Sum(family => family.Lines);

    internal GroupTotals Totals { get; } = (HasTraffic ? GroupTotals.Traffic : 0) | (Durations is null ? 0 : GroupTotals.Handshakes);

    internal IEnumerable<MetricDefinition> Families => [.. Traffic(HasTraffic, HasSegments, HasSizes), .. Handshakes(Durations)];

    private static IEnumerable<MetricDefinition> Traffic(bool hasTraffic, bool hasSegments, bool hasSizes) =>
    [
        .. hasTraffic ? [PodFamilies.TransmitBytes, PodFamilies.ReceiveBytes, PodFamilies.TransmitPackets, PodFamilies.ReceivePackets] : Array.Empty<MetricDefinition>(),
        .. hasSegments ? [PodFamilies.TransmitSegments, PodFamilies.ReceiveSegments] : Array.Empty<MetricDefinition>(),
        .. hasSizes ? [PodFamilies.PacketSizes] : Array.Empty<MetricDefinition>(),
    ];

    private static IEnumerable<MetricDefinition> Handshakes(MetricDefinition? durations) =>
        durations is null ? [] : [durations, PodFamilies.HandshakeFailures, PodFamilies.HandshakeRetransmits];
}

/// <summary>
/// Which families there are at which level, and how the budget of sample lines is divided: what the host and <c>__other__</c> can need is
/// set aside, a share is for the others of single namespaces, and the rest for pods.
/// </summary>
internal sealed record SeriesPlan(IReadOnlyList<LevelPlan> Levels, int MaxSeries, int MaxPods)
{
    /// <summary>One part in so many of the budget is for the others of single namespaces.</summary>
    private const int NamespaceShare = 16;

    /// <summary>Lines that have their place whatever comes.</summary>
    internal int FixedLines => Levels.Sum(level => level.Lines + level.HandshakeLines);

    internal int NamespaceLines => Math.Min(MaxSeries / NamespaceShare, MaxSeries - FixedLines);

    internal int PodLines => MaxSeries - FixedLines - NamespaceLines;

    /// <summary>How many pods, workloads or namespaces can have series of their own.</summary>
    internal int Capacity => Math.Min(MaxPods, PodLines / Levels.Sum(level => level.Lines));

    internal static SeriesPlan Create(MetricsOptions options, HandshakeOptions handshakes)
    {
        var (sizes, segments, durations) = (options.LevelOf(options.Sizes), options.LevelOf(options.Segments), handshakes.Hook == HandshakeChoice.Off ? null : options.LevelOf(options.Handshakes));
        return new(
            [
                .. Enum.GetValues<SeriesLevel>()
                    .Select(level => new LevelPlan(
                        level,
                        options.Aggregation == level,
                        segments == level,
                        sizes == level,
                        durations == level ? PodFamilies.HandshakeDurations(handshakes.Buckets) : null,
                        durations == level ? handshakes.Buckets : null))
                    .Where(level => level.Lines > 0),
            ],
            options.MaxSeries,
            options.MaxPods);
    }
}
