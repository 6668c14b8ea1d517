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

    /// <summary>
    /// The records that were lost in the intervals that came. What was lost before the first of them is not counted: at most the records that were
    /// issued before it.
    /// </summary>
    internal ulong Lost
    {
        get
        {
            List<ObservedInterval> closed = [.. _intervals.OrderBy(pair => pair.Key).Select(pair => pair.Value).Where(interval => interval.IsClosed)];
            if (closed.Count == 0)
            {
                return 0;
            }
            var first = closed[0];
            var earlier = Math.Min(first.First.Lost, first.First.Issued - Math.Min(first.First.Issued, first.Records));
            return closed.Max(interval => interval.Last.Lost) - earlier;
        }
    }

    internal ObservedInterval Open(RecordReader record)
    {
        Begin = Math.Min(Begin, record.Required(RecordField.Timestamp));
        var number = record.Required(RecordField.Interval);
        if (!_intervals.TryGetValue(number, out var interval))
        {
            _intervals.Add(number, interval = new($"interval {number} of {Name}"));
        }
        return interval;
    }
}
