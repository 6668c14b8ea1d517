using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Signals.Traffic;

/// <summary>Bytes, packets and their sizes, counted by TC programs on each pod's interface.</summary>
/// <param name="segments">The level of the families of segments.</param>
/// <param name="packetSizes">The level of the family of sizes.</param>
internal sealed class TrafficSignal(MetricsOptions metrics, FamilyLevel segments, FamilyLevel packetSizes) : Signal
{
    internal override RowFields Fields => TrafficValue.Fields;

    internal override SignalTotals Totals => TrafficColumns.Totals;

    internal override SignalColumns Columns { get; } = TrafficColumns.Create(metrics.Aggregation, metrics.LevelOf(segments), metrics.LevelOf(packetSizes));

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => TrafficLosses.Families;

    internal override IReadOnlyList<string> MapNames => [LoadedTraffic.MapKind];

    internal static Signal Read(OptionReader reader, MetricsOptions metrics) => new TrafficSignal(
        metrics,
        reader.Choice(
            "Metrics:Segments",
            FamilyLevel.Same,
            "What series of podnet_transmit_segments_total and podnet_receive_segments_total stand for: same as Metrics:Aggregation, or a level of their own; off: these families are not served.",
            isLive: true),
        reader.Choice(
            "Metrics:PacketSizes",
            FamilyLevel.Same,
            "What series of podnet_packet_size_bytes stand for: same as Metrics:Aggregation, or a level of their own; off: this family is not served.",
            isLive: true,
            previous: "Metrics:Sizes"));

    internal override MapSetPlan PlanPacketMaps(BpfOptions options) => LoadedTraffic.Plan(options.MaxInterfaces);

    internal override LoadedSignal Load(LoadContext context) => new LoadedTraffic(context.Packets.GetAwaiter().GetResult(), context.IsCommitted);
}
