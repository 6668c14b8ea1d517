using Exporter.Bpf;

namespace Exporter.Signals;

/// <summary>
/// The maps of a signal's rows: the pair that the programs count into now, and pairs of earlier processes that were laid out otherwise, which are read first.
/// Which map is read changes when it is released, so a drain that failed continues with the same.
/// </summary>
internal sealed class SignalMaps<TKey, TValue> : IRowSource<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly MapGenerations _maps;
    private readonly List<DoubleBufferedMap<TKey, TValue>> _previous = [];
    private bool _isEnding;
    private bool _isLastTime;

    /// <summary>The number of the previous pair that is read now.</summary>
    private int _number;

    /// <param name="name">How the names of the pair's maps begin.</param>
    /// <param name="isCommitted">Whether the rows in the map of this id are in the ledger.</param>
    /// <param name="rereads">Whether committed rows that were not released are read again after a restart.</param>
    internal SignalMaps(MapGenerations maps, string name, RowFields fields, Func<int, bool> isCommitted, bool rereads = false)
    {
        _maps = maps;
        Current = new(maps.Current, name, fields, isCommitted, rereads);
        foreach (var previous in maps.Previous)
        {
            _previous.Add(new(previous, name, fields, isCommitted, rereads));
        }
    }

    /// <summary>The pair that the programs count into now.</summary>
    internal DoubleBufferedMap<TKey, TValue> Current { get; }

    /// <summary>The pairs of earlier processes that are not removed yet.</summary>
    internal IReadOnlyList<DoubleBufferedMap<TKey, TValue>> Previous => _previous;

    /// <summary>The ids that the pairs are known by.</summary>
    internal IEnumerable<int> Pairs => [Current.Pair, .. _previous.Select(previous => previous.Pair)];

    private DoubleBufferedMap<TKey, TValue> Map => _number < _previous.Count ? _previous[_number] : Current;

    public ReadOnlySpan<DrainedRow<TKey, TValue>> Read(out RowsRead read)
    {
        if (_number == 0)
        {
            // Before the maps are swapped: no program can count into the previous maps after they are read now.
            _isLastTime = Volatile.Read(ref _isEnding);
        }
        var map = Map;
        var rows = map.Read();
        read = new(new(map.Pair, map.ReadFrom), IsPrevious: map != Current, map.HasKeptRows, IsLast: map == Current && map.HasSwapped);
        return rows;
    }

    public void Keep() => Map.Keep();

    public void Release()
    {
        var map = Map;
        map.Clear();
        if (!map.HasSwapped)
        {
            // A previous process left this one at rest. Counts since then are in the other map.
            return;
        }
        _number++;
        if (map != Current)
        {
            return;
        }
        _number = 0;
        if (_isLastTime && _previous.Count > 0)
        {
            _maps.RemovePrevious();
            _previous.Clear();
        }
    }

    /// <summary>Has rows that are kept, and not released, read again: the session that has kept them has ended. Before the first read of the next one.</summary>
    internal void Reread() => Map.Reread();

    public void EndPrevious() => Volatile.Write(ref _isEnding, true);
}
