namespace Exporter.Verification;

/// <summary>A node in one epoch, and its intervals.</summary>
internal sealed class Observer(string node, string epoch)
{
    private readonly Dictionary<ulong, ObservedInterval> _intervals = [];

    internal string Node => node;

    internal string Epoch => epoch;

    internal string Name => $"{node} (epoch {epoch})";

    /// <summary>The first time of its records, in ticks.</summary>
    internal ulong Begin { get; private set; } = ulong.MaxValue;

    internal IReadOnlyDictionary<ulong, ObservedInterval> Intervals => _intervals;

    /// <summary>The records that were lost in the intervals that came.</summary>
    internal ulong Lost => Closed.Select(interval => interval.Last.Lost).DefaultIfEmpty().Max() - LostBefore;

    /// <summary>The records that may have been lost before the first closed interval: at most those that were issued before it.</summary>
    internal ulong LostBefore => Closed.MinBy(interval => interval.Number) is { First: var counts } first
        ? Math.Min(counts.Lost, counts.Issued - Math.Min(counts.Issued, first.Records))
        : 0;

    private IEnumerable<ObservedInterval> Closed => _intervals.Values.Where(interval => interval.IsClosed);

    internal ObservedInterval Open(RecordReader record)
    {
        Begin = Math.Min(Begin, record.Required(RecordField.Timestamp));
        var number = record.Required(RecordField.Interval);
        if (!_intervals.TryGetValue(number, out var interval))
        {
            _intervals.Add(number, interval = new(number, $"interval {number} of {Name}"));
        }
        return interval;
    }
}
