namespace Exporter.Metrics;

/// <summary>
/// A part of the budget of sample lines. A scrape writes one family after the other, while series come and go: it may have written the
/// lines of one pod that leaves before it comes to those of another that takes its place. So lines that were given back are given out again
/// only when every scrape that may have written them has ended, as RCU does with memory.
/// </summary>
internal sealed class SeriesPool(int lines, RunningScrapes scrapes)
{
    private readonly Queue<(int Lines, long Scrape)> _returned = [];
    private int _free = lines;

    /// <summary>Returns false, and takes nothing, where there is not room for all of them.</summary>
    internal bool TryTake(int count)
    {
        while (_returned.TryPeek(out var returned) && scrapes.HaveEnded(returned.Scrape))
        {
            _free += _returned.Dequeue().Lines;
        }
        if (_free < count)
        {
            return false;
        }
        _free -= count;
        return true;
    }

    /// <summary>After the series were removed.</summary>
    internal void Return(int count) => _returned.Enqueue((count, scrapes.Begun));
}
