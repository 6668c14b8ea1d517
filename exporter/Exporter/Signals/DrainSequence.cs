using Exporter.Bpf;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>
/// Drains the maps left by a previous process first, then the current ones. Which maps are read changes when they are cleared, so a drain that failed
/// continues with the same.
/// </summary>
/// <param name="current">The maps that the programs count into now.</param>
/// <param name="findPrevious">The maps of a previous process by their number, from 0 on; null behind the last.</param>
/// <param name="removePrevious">Forgets them.</param>
internal sealed class DrainSequence<TKey, TValue>(DoubleBufferedMap<TKey, TValue> current, Func<int, DoubleBufferedMap<TKey, TValue>?> findPrevious, Action removePrevious)
    where TKey : unmanaged
    where TValue : unmanaged
{
    /// <summary>The number of the previous maps that are read now.</summary>
    internal int Number { get; private set; }

    private DoubleBufferedMap<TKey, TValue> Map => findPrevious(Number) ?? current;

    /// <param name="kept">The map to be committed with the rows.</param>
    /// <param name="isLast">Whether these are the current maps, with all that was counted into them.</param>
    internal ReadOnlySpan<DrainedRow<TKey, TValue>> Read(out CommittedMap kept, out bool isLast)
    {
        var map = Map;
        var rows = map.Read();
        isLast = map == current && map.HasSwapped;
        kept = new(map.Pair, map.ReadFrom);
        return rows;
    }

    /// <param name="isEnd">Whether no program could count into the previous maps when this round of drains began.</param>
    internal void Clear(bool isEnd)
    {
        var map = Map;
        map.Clear();
        if (!map.HasSwapped)
        {
            // A previous process left this one at rest. Counts since then are in the other map.
            return;
        }
        Number++;
        if (map != current)
        {
            return;
        }
        Number = 0;
        if (isEnd && findPrevious(0) is not null)
        {
            removePrevious();
        }
    }
}
