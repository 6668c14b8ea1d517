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
