using Exporter.Pods;
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
