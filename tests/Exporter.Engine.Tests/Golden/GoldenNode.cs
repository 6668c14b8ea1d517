using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>A node: its intervals, its clock, and how its records reach the topic.</summary>
internal sealed class GoldenNode(int number)
{
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>Nodes read at different times.</summary>
    private readonly TimeSpan _offset = number * TimeSpan.FromMilliseconds(1700);

    internal int Number => number;

    internal string Name { get; } = $"node-{number}";

    /// <summary>While its clock is ahead, and how much.</summary>
    internal (TimeSpan From, TimeSpan Until, TimeSpan Ahead) Clock { get; init; }

    /// <summary>While its records come late, and how late.</summary>
    internal (TimeSpan From, TimeSpan Until, TimeSpan Late) Lateness { get; init; }

    /// <summary>While it is away; it is another boot afterwards.</summary>
    internal (TimeSpan From, TimeSpan Until) Outage { get; init; }

    /// <summary>Records of an interval that are lost on their way, by the interval's time.</summary>
    internal IReadOnlyList<(TimeSpan At, int Records)> Losses { get; init; } = [];

    internal long IntervalOf(TimeSpan time) => (long)Math.Floor((time - _offset) / Interval);

    internal TimeSpan StartOf(long interval) => _offset + (interval * Interval);

    internal TimeSpan ReadingOf(long interval) => StartOf(interval + 1);

    internal bool IsAway(TimeSpan time) => time >= Outage.From && time < Outage.Until;

    internal TimeSpan AheadAt(TimeSpan time) => time >= Clock.From && time < Clock.Until ? Clock.Ahead : TimeSpan.Zero;

    internal TimeSpan DelayAt(TimeSpan time) =>
        TimeSpan.FromMilliseconds(150 + (90 * number)) + (time >= Lateness.From && time < Lateness.Until ? Lateness.Late : TimeSpan.Zero);

    internal int BootAt(TimeSpan time) => Outage.Until > TimeSpan.Zero && time >= Outage.Until ? 1 : 0;

    /// <summary>What an interval's records have in common. Each boot has an epoch of its own, and counts its intervals from 1.</summary>
    internal RecordContext ContextOf(long interval, DateTimeOffset begin, int seed)
    {
        var reading = ReadingOf(interval);
        var boot = BootAt(StartOf(interval));
        var first = boot == 0 ? IntervalOf(TimeSpan.Zero) : IntervalOf(Outage.Until) + 1;
        var epoch = new byte[RecordObserver.EpochLength];
        new Random(HashCode.Combine(seed)).NextBytes(epoch);
        (epoch[0], epoch[1]) = ((byte)number, (byte)boot);
        var shift = begin + AheadAt(reading);
        return new(new(epoch, Name, "golden"), interval - first + 1, shift + reading, shift + StartOf(interval), shift + reading);
    }
}
