namespace Exporter.Bpf;

/// <summary>The maps of one kind: the set that the programs count into now, and sets of earlier processes that were laid out otherwise.</summary>
public sealed class MapGenerations : IDisposable
{
    private readonly List<MapSet> _previous;

    internal MapGenerations(MapSet current, List<MapSet> previous) => (Current, _previous) = (current, previous);

    public MapSet Current { get; }

    /// <summary>Programs of an earlier process may still count into these, until the programs of this process have taken their place.</summary>
    public IReadOnlyList<MapSet> Previous => _previous;

    /// <summary>An array of the current set whose counters only grow. They continue from the counters of the previous sets.</summary>
    /// <param name="map">The name of the array in each set.</param>
    /// <param name="count">How many of its indexes are in use.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public PerCpuArray<TValue> Continue<TValue>(string map, int count)
        where TValue : unmanaged
    {
        var counters = new PerCpuArray<TValue>(Current[map]);
        // Adopted maps have the counters of previous ones already: an earlier process was ended before it removed these.
        foreach (var previous in Current.IsAdopted ? [] : _previous)
        {
            counters.Continue(new(previous[map]), count);
        }
        return counters;
    }

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
