using System.Globalization;

namespace Exporter.Bpf;

/// <summary>
/// Maps of one object, which outlive programs: while one program takes the place of another, and with pins also from one process
/// to the next. Pinned maps are used again only where they are laid out as new ones would be; a set that is laid out otherwise is a
/// previous one, whose counts are still to be read.
/// </summary>
public sealed class MapSet : IDisposable
{
    /// <summary>The note that is written last: a set without it was not finished, and no program has used it.</summary>
    private const string LayoutNote = "layout";

    private readonly PinDirectory? _pins;
    private readonly Dictionary<string, BpfMap> _maps;

    private MapSet(PinDirectory? pins, string name, MapLayout layout, Dictionary<string, BpfMap> maps, bool isAdopted)
    {
        (_pins, Name, Layout, _maps, IsAdopted) = (pins, name, layout, maps, isAdopted);
    }

    /// <summary>The folder that it is pinned in.</summary>
    public string Name { get; }

    public MapLayout Layout { get; }

    /// <summary>Whether it was there before this process.</summary>
    public bool IsAdopted { get; }

    /// <summary>The map of this name in the object.</summary>
    public BpfMap this[string name] => _maps[name];

    public void Dispose()
    {
        foreach (var map in _maps.Values)
        {
            map.Dispose();
        }
    }

    /// <summary>Removes the pins: no program counts into it any more, and all counts were read.</summary>
    public void Remove()
    {
        _pins?.Remove(Name);
        Dispose();
    }

    /// <summary>The ids that the pairs of maps of a kind's pinned sets are known by, while no object is loaded with them.</summary>
    public static IReadOnlyList<int> FindPairs(PinDirectory pins, string kind)
    {
        var (ids, slot) = (new List<int>(), PairNames.Slot(kind));
        foreach (var name in NamesOf(pins, kind))
        {
            if (pins.Get($"{name}/{slot}") is { } descriptor)
            {
                using var map = new BpfMap(slot, descriptor);
                ids.Add(map.Id);
            }
        }
        return ids;
    }

    /// <summary>Removes all pinned sets of a kind, with the counts in them.</summary>
    public static void RemoveAll(PinDirectory pins, string kind)
    {
        foreach (var name in NamesOf(pins, kind))
        {
            pins.Remove(name);
        }
    }

    /// <summary>The pinned set that is laid out as planned; null where there is none, or it was not finished.</summary>
    internal static MapSet? Find(PinDirectory? pins, MapSetPlan plan) => pins is null ? null : Open(pins, NameOf(plan), plan.Maps);

    /// <summary>Pins the maps of an object that was loaded without a pinned set.</summary>
    /// <param name="pins">Null: they are not pinned.</param>
    /// <exception cref="PinException">They cannot be pinned.</exception>
    internal static MapSet Make(BpfObject loaded, PinDirectory? pins, MapSetPlan plan)
    {
        var name = NameOf(plan);
        var made = new MapSet(pins, name, plan.Layout, plan.Maps.ToDictionary(map => map, loaded.Map), isAdopted: false);
        if (pins is not null)
        {
            try
            {
                pins.Remove(name);
                pins.MakePart(name);
                foreach (var map in made._maps.Values)
                {
                    pins.Pin(map.Fd, $"{name}/{map.Name}");
                }
                pins.WriteNote($"{name}/{LayoutNote}", plan.Layout.Text);
            }
            catch
            {
                made.Dispose();
                throw;
            }
        }
        return made;
    }

    /// <summary>Has an object use these maps in place of its own; before it is loaded.</summary>
    /// <exception cref="BpfException">Its maps have other sizes.</exception>
    internal void OfferTo(BpfObject opened)
    {
        foreach (var map in _maps.Values)
        {
            opened.Reuse(map);
        }
    }

    /// <summary>The pinned sets of the plan's kind that are laid out otherwise. A set that was not finished is removed.</summary>
    internal static List<MapSet> FindPrevious(PinDirectory? pins, MapSetPlan plan)
    {
        var previous = new List<MapSet>();
        foreach (var name in pins is null ? [] : NamesOf(pins, plan.Kind))
        {
            if (name == NameOf(plan))
            {
                continue;
            }
            if (Open(pins!, name, plan.Maps) is { } set)
            {
                previous.Add(set);
            }
            else
            {
                pins!.Remove(name);
            }
        }
        return previous;
    }

    private static string NameOf(MapSetPlan plan) => $"{plan.Kind}_{plan.Layout.Name}";

    private static List<string> NamesOf(PinDirectory pins, string kind) => [.. pins.List().Where(name => IsOfKind(name, kind))];

    /// <summary>A digest follows the kind, which may be the beginning of another's name.</summary>
    private static bool IsOfKind(string name, string kind) =>
        name.StartsWith(kind + "_", StringComparison.Ordinal) && ulong.TryParse(name.AsSpan(kind.Length + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _);

    /// <summary>Null where there is none, it was not finished, or its name does not fit its layout.</summary>
    private static MapSet? Open(PinDirectory pins, string name, IReadOnlyList<string> names)
    {
        if (MapLayout.TryParse(pins.ReadNote($"{name}/{LayoutNote}")) is not { } layout || !name.EndsWith($"_{layout.Name}", StringComparison.Ordinal))
        {
            return null;
        }
        var maps = new Dictionary<string, BpfMap>();
        foreach (var map in names)
        {
            if (pins.Get($"{name}/{map}") is { } descriptor)
            {
                maps[map] = new(map, descriptor);
            }
        }
        var set = new MapSet(pins, name, layout, maps, isAdopted: true);
        if (maps.Count == names.Count)
        {
            return set;
        }
        set.Dispose();
        return null;
    }
}
