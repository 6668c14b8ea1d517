namespace Exporter.Metrics;

/// <summary>Knows the scrapes that are being written.</summary>
internal sealed class RunningScrapes
{
    /// <summary>Taken at the beginning and the end of a scrape, and when series come or go; never while counting or writing.</summary>
    private readonly Lock _lock = new();

    /// <summary>Their numbers, ascending.</summary>
    private readonly List<long> _running = [];
    private long _begun;

    /// <summary>The number of the scrape that began last.</summary>
    internal long Begun
    {
        get
        {
            lock (_lock)
            {
                return _begun;
            }
        }
    }

    /// <summary>Ends when it is disposed.</summary>
    internal IDisposable Begin()
    {
        lock (_lock)
        {
            _running.Add(++_begun);
            return new Scrape(this, _begun);
        }
    }

    /// <summary>Whether this scrape and all before it have ended.</summary>
    internal bool HaveEnded(long last)
    {
        lock (_lock)
        {
            return _running.Count == 0 || _running[0] > last;
        }
    }

    private void End(long number)
    {
        lock (_lock)
        {
            _running.Remove(number);
        }
    }

    private sealed class Scrape(RunningScrapes scrapes, long number) : IDisposable
    {
        public void Dispose() => scrapes.End(number);
    }
}

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
