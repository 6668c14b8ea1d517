using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Signals.Objects;

namespace Exporter.Signals.Traffic;

/// <summary>The maps that the packet programs count traffic into.</summary>
internal sealed class LoadedTraffic : LoadedSignal
{
    internal const string MapKind = "traffic";

    private const string LossesMap = "traffic_losses";

    internal LoadedTraffic(PacketObject packets, Func<int, bool> isCommitted)
    {
        var maps = packets[MapKind];
        Traffic = new(maps, MapKind, TrafficValue.Fields, isCommitted);
        Losses = maps.Continue<Loss>(LossesMap, Enum.GetValues<LossReason>().Length);
    }

    internal override bool IsCounting => true;

    internal SignalMaps<TrafficKey, TrafficValue> Traffic { get; }

    /// <summary>Indexed by <see cref="LossReason"/>.</summary>
    internal PerCpuArray<Loss> Losses { get; }

    internal override IEnumerable<int> Pairs => Traffic.Pairs;

    internal override IReadOnlyList<MapUsage> Maps => [new(MapKind, Traffic.Current.MaxEntries, () => Traffic.Current.Entries)];

    /// <summary>The set of maps with room for so many interfaces between two drains; about 1 KiB of kernel memory each, for every CPU.</summary>
    internal static MapSetPlan Plan(int maxInterfaces) =>
        MapSetPlan.OfPair(MapKind, new($"interfaces={maxInterfaces}", TrafficValue.Fields.Names), maxInterfaces, (LossesMap, null));

    internal override SignalDrain Open(Signal signal, SessionContext context) =>
        new TrafficDrain(Traffic, reason => Losses.Read((int)reason), new(context.Metrics), context);

    /// <summary>The maps are the object's.</summary>
    public override void Dispose()
    {
    }
}
