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
        Losses = new(maps.Current[LossesMap]);
        // Adopted maps have the losses of previous ones already: an earlier process was ended before it removed these.
        foreach (var previous in maps.Current.IsAdopted ? [] : maps.Previous)
        {
            Losses.Continue(new(previous[LossesMap]), Enum.GetValues<LossReason>().Length);
        }
    }

    internal override bool IsCounting => true;

    internal SignalMaps<TrafficKey, TrafficValue> Traffic { get; }

    /// <summary>Indexed by <see cref="LossReason"/>.</summary>
    internal PerCpuArray<Loss> Losses { get; }

    internal override IEnumerable<int> Pairs => Traffic.Pairs;

    internal override IReadOnlyList<MapUsage> Maps => [new(MapKind, Traffic.Current.MaxEntries, () => Traffic.Current.Entries)];

    /// <summary>The set of maps with room for so many interfaces between two drains; about 1 KiB of kernel memory each, for every CPU.</summary>
    internal static MapSetPlan Plan(int maxInterfaces) => new(
        MapKind,
        new($"interfaces={maxInterfaces}", TrafficValue.Fields.Names),
        [$"{MapKind}_active", $"{MapKind}_a", $"{MapKind}_b", LossesMap],
        new Dictionary<string, int> { [$"{MapKind}_a"] = maxInterfaces, [$"{MapKind}_b"] = maxInterfaces });

    internal override SignalDrain Open(Signal signal, SessionContext context) =>
        new TrafficDrain(Traffic, reason => Losses.Read((int)reason), new(context.Metrics), context);

    /// <summary>The maps are the object's.</summary>
    public override void Dispose()
    {
    }
}
