using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A BPF object in the kernel, with the sets of maps that outlive its programs. Another object of its kind can take its place on the same maps.
/// Owns the object and the maps.
/// </summary>
public sealed class LoadedObject : IDisposable
{
    private readonly Dictionary<string, MapGenerations> _maps = [];

    private readonly IReadOnlyList<MapSetPlan> _plans;

    private LoadedObject(string name, IReadOnlyList<MapSetPlan> plans, BpfObject loaded) => (Name, _plans, Current) = (name, plans, loaded);

    public string Name { get; }

    /// <summary>The object whose programs are to be attached.</summary>
    public BpfObject Current { get; private set; }

    /// <summary>The maps of a kind.</summary>
    public MapGenerations this[string kind] => _maps[kind];

    /// <summary>Loads an object with the maps that are pinned for it, and with new ones for the other sets, which are pinned.</summary>
    /// <param name="name">Of the embedded object.</param>
    /// <param name="plans">The sets of its maps. Pairs of maps that are in none are not made, and all other maps are the object's own.</param>
    /// <param name="pins">Null: nothing is pinned.</param>
    /// <param name="prepare">Sets constants and omits programs, before the object is loaded.</param>
    /// <param name="elf">The object's content; null: the embedded one.</param>
    /// <exception cref="BpfException">The kernel refused the object.</exception>
    /// <exception cref="PinException">The kernel refused pinned maps, or to pin new ones.</exception>
    public static LoadedObject Load(string name, IReadOnlyList<MapSetPlan> plans, PinDirectory? pins = null, Action<BpfObject>? prepare = null, byte[]? elf = null)
    {
        var opened = elf is null ? BpfObject.OpenEmbedded(name) : BpfObject.Open(name, elf);
        var loaded = new LoadedObject(name, plans, opened);
        List<(MapSetPlan Plan, MapSet? Found)> sets = [];
        try
        {
            prepare?.Invoke(opened);
            Prepare(opened, plans);
            foreach (var plan in plans)
            {
                foreach (var (map, entries) in plan.MaxEntries)
                {
                    opened.SetMaxEntries(map, entries);
                }
                sets.Add((plan, MapSet.Find(pins, plan)));
            }
            LoadWith(opened, [.. sets.Select(set => set.Found).OfType<MapSet>()], pins);
            foreach (var (plan, found) in sets)
            {
                loaded._maps[plan.Kind] = new(found ?? MapSet.Make(opened, pins, plan), MapSet.FindPrevious(pins, plan));
            }
            return loaded;
        }
        catch
        {
            sets.ForEach(set => set.Found?.Dispose());
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Loads another object of this kind on the same maps. It takes the place of the current one with <see cref="Replace"/>.</summary>
    /// <param name="elf">The object's content.</param>
    /// <param name="prepare">As with the first.</param>
    /// <returns>Owned by the caller until it is the current one.</returns>
    /// <exception cref="BpfException">The kernel refused it, or its maps have other sizes; nothing has changed.</exception>
    public BpfObject LoadNext(byte[] elf, Action<BpfObject>? prepare = null)
    {
        var opened = BpfObject.Open(Name, elf);
        try
        {
            prepare?.Invoke(opened);
            Prepare(opened, _plans);
            foreach (var maps in _maps.Values)
            {
                maps.Current.OfferTo(opened);
            }
            opened.Load();
            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Makes a loaded object the current one.</summary>
    /// <returns>The previous object, which the caller owns from now on; programs of it that are attached outlive it.</returns>
    public BpfObject Replace(BpfObject next)
    {
        var previous = Current;
        Current = next;
        return previous;
    }

    public void Dispose()
    {
        Current.Dispose();
        foreach (var maps in _maps.Values)
        {
            maps.Dispose();
        }
    }

    /// <summary>Sets the constants of the sets of maps, and excludes the pairs that no set has.</summary>
    private static void Prepare(BpfObject opened, IReadOnlyList<MapSetPlan> plans)
    {
        foreach (var plan in plans)
        {
            if (plan.Constants is { } constants)
            {
                opened.SetConstants<byte>(constants.Section, constants.Value);
            }
        }
        HashSet<string> planned = [.. plans.SelectMany(plan => plan.Maps)];
        foreach (var pair in opened.FindMapNames().Select(PairNames.FindPair).OfType<string>().Where(pair => !planned.Contains(PairNames.Slot(pair))).ToList())
        {
            opened.OmitMap(PairNames.One(pair));
            opened.OmitMap(PairNames.Other(pair));
            opened.OmitMap(PairNames.Slot(pair));
        }
    }

    private static void LoadWith(BpfObject opened, IReadOnlyList<MapSet> pinned, PinDirectory? pins)
    {
        try
        {
            foreach (var maps in pinned)
            {
                maps.OfferTo(opened);
            }
            opened.Load();
        }
        // A lack of memory is not the fault of the pins: without them all counts would begin again from zero.
        catch (BpfException e) when (pinned.Count > 0 && e.ErrorNumber != Errno.ENOMEM)
        {
            throw new PinException($"The maps pinned as {string.Join(", ", pinned.Select(maps => $"{pins!.Path}/{maps.Name}"))} cannot be used: {e.Message}");
        }
    }
}
