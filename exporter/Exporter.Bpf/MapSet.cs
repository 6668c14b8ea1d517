using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// The maps of one object, which programs come and go on: while one program takes the place of another, and with pins also from one process
/// to the next. Pinned maps are used again only where they are laid out as they would be made anew; a set that is laid out otherwise is a
/// former one, of which what was counted is still to be read.
/// </summary>
internal sealed class MapSet : IDisposable
{
    /// <summary>The note that is written last, so that a set without it is one that was not finished, and that nobody has used.</summary>
    private const string LayoutNote = "layout";

    private readonly PinDirectory? _pins;
    private readonly Dictionary<string, BpfMap> _maps;

    private MapSet(PinDirectory? pins, string name, MapLayout layout, Dictionary<string, BpfMap> maps, bool isAdopted)
    {
        (_pins, Name, Layout, _maps, IsAdopted) = (pins, name, layout, maps, isAdopted);
    }

    /// <summary>Where it is pinned.</summary>
    internal string Name { get; }

    internal MapLayout Layout { get; }

    /// <summary>Whether it was there before this process.</summary>
    internal bool IsAdopted { get; }

    internal BpfMap this[string name] => _maps[name];

    public void Dispose()
    {
        foreach (var map in _maps.Values)
        {
            map.Dispose();
        }
    }

    /// <summary>Loads an object with the maps that are pinned for it, or with new ones, which are pinned.</summary>
    /// <param name="pins">Null: nothing is pinned.</param>
    /// <param name="kind">What the sets of this object's maps are called.</param>
    /// <param name="names">Those of the object's maps that belong to the set; all others are the object's own.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    /// <exception cref="PinException">It refused the maps that are pinned, or to pin.</exception>
    internal static MapSet Load(BpfObject opened, PinDirectory? pins, string kind, MapLayout layout, IReadOnlyList<string> names)
    {
        var name = $"{kind}_{layout.Name}";
        if (pins is not null && Open(pins, name, names) is { } adopted)
        {
            try
            {
                adopted.Load(opened);
                return adopted;
            }
            catch (BpfException e)
            {
                adopted.Dispose();
                // That there is no memory is not for the pins: without them everything would begin anew.
                throw e.ErrorNumber == Errno.ENOMEM ? e : new PinException($"What is pinned as {pins.Path}/{name} cannot be used: {e.Message}");
            }
        }
        opened.Load();
        var made = new MapSet(pins, name, layout, names.ToDictionary(map => map, opened.Map), isAdopted: false);
        if (pins is not null)
        {
            pins.Remove(name);
            pins.MakePart(name);
            foreach (var map in made._maps.Values)
            {
                pins.Pin(map.Fd, $"{name}/{map.Name}");
            }
            pins.WriteNote($"{name}/{LayoutNote}", layout.Text);
        }
        return made;
    }

    /// <summary>Loads an object with these maps in place of its own.</summary>
    /// <exception cref="BpfException">The kernel refused, or its maps have other sizes.</exception>
    internal void Load(BpfObject opened)
    {
        foreach (var map in _maps.Values)
        {
            opened.Reuse(map);
        }
        opened.Load();
    }

    /// <summary>The pinned sets of this kind that are laid out otherwise. What was not finished is removed.</summary>
    internal IReadOnlyList<MapSet> OpenFormer(string kind)
    {
        var former = new List<MapSet>();
        foreach (var name in _pins?.List() ?? [])
        {
            if (name == Name || !name.StartsWith(kind + "_", StringComparison.Ordinal))
            {
                continue;
            }
            if (Open(_pins!, name, [.. _maps.Keys]) is { } set)
            {
                former.Add(set);
            }
            else
            {
                _pins!.Remove(name);
            }
        }
        return former;
    }

    /// <summary>Takes away the pins: nobody counts into it any more, and all was read.</summary>
    internal void Remove()
    {
        _pins?.Remove(Name);
        Dispose();
    }

    /// <summary>Null where there is none, it was not finished, or it is none of ours.</summary>
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
