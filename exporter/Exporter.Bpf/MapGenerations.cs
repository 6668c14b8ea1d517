namespace Exporter.Bpf;

/// <summary>The maps of one kind: the set that the programs count into now, and sets of earlier processes that were laid out otherwise.</summary>
public sealed class MapGenerations : IDisposable
{
    private readonly List<MapSet> _previous;

    internal MapGenerations(MapSet current, List<MapSet> previous) => (Current, _previous) = (current, previous);

    public MapSet Current { get; }

    /// <summary>Programs of an earlier process may still count into these, until the programs of this process have taken their place.</summary>
    public IReadOnlyList<MapSet> Previous => _previous;

    /// <summary>Removes the previous sets: no program counts into them, and their counts were read.</summary>
    public void RemovePrevious()
    {
        _previous.ForEach(maps => maps.Remove());
        _previous.Clear();
    }

    public void Dispose()
    {
        Current.Dispose();
        _previous.ForEach(maps => maps.Dispose());
    }
}
