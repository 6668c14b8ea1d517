namespace Exporter.Bpf;

/// <summary>The maps of an object that belong together: they are pinned, found again and drained as one set.</summary>
/// <param name="Kind">The beginning of the set's pins' names; no two sets share it.</param>
/// <param name="Layout">The counters of its values, and the settings that it is made with.</param>
/// <param name="Maps">The names of its maps in the object.</param>
/// <param name="MaxEntries">How many entries some of them have, by their names; the others have as many as in the object.</param>
public sealed record MapSetPlan(string Kind, MapLayout Layout, IReadOnlyList<string> Maps, IReadOnlyDictionary<string, int> MaxEntries)
{
    /// <summary>The section of the object's constants that is of this set, and what it is set to; null: there is none.</summary>
    public (string Section, byte[] Value)? Constants { get; init; }

    /// <summary>Plans the set with a pair of maps (<see cref="DoubleBufferedMap{TKey, TValue}"/>) that is named as the kind.</summary>
    /// <param name="entries">How many rows each map of the pair has room for; null: as many as in the object.</param>
    /// <param name="others">The other maps of the set, and how many entries each has; null: as many as in the object.</param>
    public static MapSetPlan OfPair(string kind, MapLayout layout, int? entries, params IReadOnlyList<(string Map, int? Entries)> others)
    {
        (string Map, int? Entries)[] maps = [(PairNames.Slot(kind), null), (PairNames.One(kind), entries), (PairNames.Other(kind), entries), .. others];
        return new(kind, layout, [.. maps.Select(map => map.Map)], maps.Where(map => map.Entries is not null).ToDictionary(map => map.Map, map => map.Entries!.Value));
    }
}
