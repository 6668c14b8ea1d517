using Exporter.Bpf;

namespace Exporter.State;

/// <summary>
/// One drain after the other of a kind of maps: first those of a former process, while there are any, then the ones of now. Which are read
/// changes when they are cleared, so that one that fails goes on with the same.
/// </summary>
/// <param name="current">Those that the programs of now count into.</param>
/// <param name="findFormer">The former ones by their number, from 0 on; null behind the last.</param>
/// <param name="removeFormer">Forgets them.</param>
internal sealed class FormerFirst<TKey, TValue>(DoubleBufferedMap<TKey, TValue> current, Func<int, DoubleBufferedMap<TKey, TValue>?> findFormer, Action removeFormer)
    where TKey : unmanaged
    where TValue : unmanaged
{
    /// <summary>The number of those that are read now, of the former ones.</summary>
    internal int Number { get; private set; }

    private DoubleBufferedMap<TKey, TValue> Map => findFormer(Number) ?? current;

    /// <param name="kept">What is to be committed with what was read.</param>
    /// <param name="isLast">Whether these are the ones of now, with all that was counted into them.</param>
    internal ReadOnlySpan<DrainedRow<TKey, TValue>> Read(out KeptMap kept, out bool isLast)
    {
        var map = Map;
        var rows = map.Read();
        isLast = map == current && map.HasSwapped;
        kept = new(map.Pair, map.ReadFrom);
        return rows;
    }

    /// <param name="isEnd">Whether nobody could count into the former ones any more when this round of drains began.</param>
    internal void Clear(bool isEnd)
    {
        var map = Map;
        map.Clear();
        if (!map.HasSwapped)
        {
            // That was what its former process had left at rest. What was counted since is in the other map.
            return;
        }
        Number++;
        if (map != current)
        {
            return;
        }
        Number = 0;
        if (isEnd && findFormer(0) is not null)
        {
            removeFormer();
        }
    }
}
