using System.Text;
using System.Text.Json;

namespace Exporter.Kernel.Tests.Support;

/// <summary>What a consumer reads of a file of records: each line once, repeats among them.</summary>
internal sealed class FlowLog(string path)
{
    private readonly List<FlowLine> _lines = [];
    private readonly List<string> _torn = [];
    private readonly HashSet<string> _ids = [];
    private readonly Dictionary<string, InterfaceCounters> _sums = [];
    private long _read;

    internal string Path => path;

    /// <summary>Records of flows, rests and intervals, in the order of the file.</summary>
    internal IReadOnlyList<FlowLine> Lines => _lines;

    /// <summary>Lines that are no records: a process ended while it wrote them.</summary>
    internal IReadOnlyList<string> Torn => _torn;

    /// <summary>The first of the flows' records with each id.</summary>
    internal IEnumerable<FlowLine> Flows => _lines.Where(line => line is { IsFlow: true, IsRepeat: false });

    internal IEnumerable<FlowLine> Rests => _lines.Where(line => line is { IsRest: true, IsRepeat: false });

    internal IEnumerable<FlowLine> Intervals => _lines.Where(line => line is { IsInterval: true, IsRepeat: false });

    /// <summary>Whether an interval is complete that began after a time: then all is there that was counted before it.</summary>
    internal bool HasIntervalAfter(DateTimeOffset time) => Intervals.Any(interval => interval.Time("event.start") > time);

    /// <summary>Reads whole lines that were appended since the last time.</summary>
    internal void Read()
    {
        if (!File.Exists(path))
        {
            return;
        }
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Position = _read;
        var bytes = new byte[file.Length - _read];
        file.ReadExactly(bytes);
        var whole = bytes.AsSpan()[..(bytes.AsSpan().LastIndexOf((byte)'\n') + 1)];
        _read += whole.Length;
        foreach (var range in whole.Split((byte)'\n'))
        {
            if (!whole[range].IsEmpty)
            {
                Add(whole[range]);
            }
        }
    }

    /// <summary>Flows and rests of an interface, repeats once.</summary>
    internal InterfaceCounters SumOf(string name) => _sums.GetValueOrDefault(name, new(0, 0, 0, 0, 0));

    /// <summary>That each interval has all of its records, once, and ends with the record that says so.</summary>
    internal void AssertComplete()
    {
        Assert.Empty(_torn);
        Assert.DoesNotContain(_lines, line => line.IsRepeat);
        foreach (var interval in _lines.GroupBy(line => (line.Epoch, line.Interval)))
        {
            Assert.Equal(Enumerable.Range(0, interval.Count()).Select(number => (long)number), interval.Select(line => line.Sequence));
            Assert.True(interval.Last().IsInterval, $"{interval.Key} does not end");
            Assert.Equal(interval.Count() - 1, interval.Last().Number("interval.records"));
            Assert.Single(interval.Select(line => line.Timestamp).Distinct());
        }
        Assert.Equal(_lines.Count(line => !line.IsInterval), Intervals.Last().Number("interval.issued"));
        Assert.Equal(0, Intervals.Last().Number("interval.lost"));
    }

    /// <summary>
    /// That each interval's records have the numbers from 0 on, but for those that are counted as lost, and that repeats are equal. In an epoch that a reboot has
    /// ended, it is unknown what was lost after its last interval.
    /// </summary>
    /// <returns>How many records and whole intervals are missing.</returns>
    internal long AssertArrivedOrLost()
    {
        foreach (var repeats in _lines.Where(line => !line.IsInterval).GroupBy(line => line.Id).Where(group => group.Count() > 1))
        {
            Assert.Single(repeats.Select(line => line.ToString()).Distinct());
        }
        return _lines.GroupBy(line => line.Epoch).Sum(AssertArrivedOrLost);
    }

    private static long AssertArrivedOrLost(IEnumerable<FlowLine> epoch)
    {
        var missing = 0L;
        var last = epoch.Where(line => line.IsInterval).MaxBy(line => line.Interval);
        Assert.NotNull(last);
        var intervals = epoch.Where(line => line.Interval <= last.Interval).GroupBy(line => line.Interval).OrderBy(group => group.Key).ToList();
        foreach (var interval in intervals)
        {
            var numbers = interval.Where(line => !line.IsInterval).DistinctBy(line => line.Id).Select(line => line.Sequence).ToList();
            Assert.Equal(numbers.Count, numbers.Distinct().Count());
            var expected = interval.FirstOrDefault(line => line.IsInterval)?.Number("interval.records") ?? numbers.Max() + 1;
            Assert.All(numbers, number => Assert.InRange(number, 0, expected - 1));
            missing += expected - numbers.Count;
        }
        Assert.InRange(missing, 0, last.Number("interval.lost"));
        // An interval that has not one record is among the lost ones, if it had any.
        var absent = intervals[^1].Key - intervals[0].Key + 1 - intervals.Count;
        Assert.True(absent == 0 || last.Number("interval.lost") > 0, $"{absent} intervals are missing");
        // A record that is written again is issued again.
        Assert.InRange(last.Number("interval.issued") - last.Number("interval.lost"), 0, epoch.Count(line => !line.IsInterval));
        return missing + absent;
    }

    private void Add(ReadOnlySpan<byte> text)
    {
        FlowLine line;
        try
        {
            line = new(JsonElement.Parse(text));
        }
        catch (JsonException)
        {
            _torn.Add(Encoding.UTF8.GetString(text));
            return;
        }
        if (line.IsIdentity)
        {
            // Announcements of the pods' addresses belong to no interval.
            return;
        }
        line.IsRepeat = !_ids.Add(line.Id);
        _lines.Add(line);
        if (!line.IsRepeat && line.Interface is { } name)
        {
            var (sum, own) = (SumOf(name), line.LocalCounts);
            _sums[name] = new(
                sum.TransmittedPackets + own.TransmittedPackets, sum.TransmittedBytes + own.TransmittedBytes,
                sum.ReceivedPackets + own.ReceivedPackets, sum.ReceivedBytes + own.ReceivedBytes, 0);
        }
    }
}
