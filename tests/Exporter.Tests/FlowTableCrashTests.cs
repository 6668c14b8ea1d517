using CsCheck;
using Exporter.Bpf;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// A process is killed at any store into the flow table, again and again: the next one has the same sights of the same rows as one that is never killed, and
/// an interval that is committed has them again.
/// </summary>
public sealed class FlowTableCrashTests
{
    private const int Room = 5;

    private static readonly FlowKey[] Keys =
    [
        FlowMap.KeyOf(6, 50_000, 443), FlowMap.KeyOf(6, 50_001, 443), FlowMap.KeyOf(6, 443, 50_000), FlowMap.KeyOf(17, 50_000, 53), FlowMap.KeyOf(17, 50_001, 53), FlowMap.KeyOf(1, 8, 0),
    ];

    private static readonly string[] Flags = ["S", "SA", "A", "PA", "FA", "R"];

    private static readonly Gen<Packet> Packets =
        from key in Gen.Int[0, Keys.Length - 1]
        from isFromPod in Gen.Bool
        from after in Gen.Double[0, 1]
        from flags in Gen.Int[0, Flags.Length - 1]
        from seq in Gen.UInt[1, 2]
        from retransmits in Gen.UInt[0, 8]
        select new Packet(key, isFromPod, after, Flags[flags], seq, retransmits < 5 ? null : retransmits);

    private static readonly Gen<Interval> Intervals =
        from packets in Packets.List[0, 8]
        from seconds in Gen.Frequency((6, Gen.Double[1, 15]), (1, Gen.Const(61.0)))
        from generation in Gen.Frequency((9, Gen.Const(0)), (1, Gen.Const(1)))
        from kills in Gen.Int[0, 3]
        from repeats in Gen.Int[0, 3]
        from isReopened in Gen.Bool
        select new Interval(packets, seconds, generation, kills, repeats, isReopened);

    [Fact]
    public void Whenever_it_is_killed_the_next_process_has_the_sights_of_one_that_is_not() =>
        (from intervals in Intervals.List[1, 12] from seed in Gen.Int select (intervals, seed)).Sample(
            drawn =>
            {
                var (living, killed) = (new Process(new Random(drawn.seed)), new Process(new Random(drawn.seed)));
                var (now, generation) = (0.0, 1L);
                foreach (var interval in drawn.intervals)
                {
                    generation += interval.Generation;
                    var rows = interval.RowsFrom(now);
                    now += interval.Seconds;
                    var clock = FlowMap.ClockOf(now);
                    for (var kill = 0; kill < interval.Kills; kill++)
                    {
                        killed.TakeUpUntilKilled(rows, generation, clock);
                    }
                    var expected = living.TakeUp(rows, generation, clock);
                    var taken = killed.TakeUp(rows, generation, clock);
                    AssertSame(expected, taken);
                    for (var repeat = 0; repeat < interval.Repeats; repeat++)
                    {
                        killed.Restart();
                        if (repeat > 0)
                        {
                            killed.RepeatUntilKilled(rows, generation, clock);
                        }
                        Assert.Equal(taken, killed.Repeat(rows, generation, clock));
                    }
                    if (interval.IsReopened)
                    {
                        killed.Restart();
                    }
                    Assert.Equal(living.Count, killed.Count);
                }
            },
            iter: 3_000,
            print: drawn => $"seed {drawn.seed}: {string.Join("; ", drawn.intervals)}");

    /// <summary>A copy whose words are not those that its checksum is of is no flow, and is counted.</summary>
    [Fact]
    public void A_slot_that_is_torn_is_an_unknown_flow()
    {
        var process = new Process(new Random(1));
        var rows = new Interval([new(3, true, 0.1, "", 0, null), new(4, true, 0.2, "", 0, null)], 5, 0, 0, 0, false).RowsFrom(0);
        process.TakeUp(rows, 1, FlowMap.ClockOf(5));

        process.TearSlot();
        process.Restart();
        Assert.Equal((1, 1, 1L), (process.Count, process.Table.Torn, process.Table.Forgotten));

        var sights = process.TakeUp(new Interval([new(3, false, 0.1, "", 0, null), new(4, false, 0.2, "", 0, null)], 5, 0, 0, 0, false).RowsFrom(5), 1, FlowMap.ClockOf(10));
        Assert.Equal(2, process.Count);
        Assert.Single(sights, sight => sight is { Sight: { Orientation: FlowOrientation.Remembered, IsLocalSource: true } });
        Assert.Single(sights, sight => sight is { Sight: { Orientation: FlowOrientation.First, IsLocalSource: false } });
    }

    /// <summary>The same, but that another process has seen the beginning of some flows; silent ones are in the order of their slots.</summary>
    private static void AssertSame(List<Seen> expected, List<Seen> taken) => Assert.Equal(
        InOrder(expected),
        InOrder(taken).Zip(
            InOrder(expected),
            (one, other) => one.Sight.Orientation == FlowOrientation.Remembered ? one with { Sight = one.Sight with { Orientation = other.Sight.Orientation } } : one));

    private static IEnumerable<Seen> InOrder(List<Seen> seen) => seen.OrderBy(one => Array.IndexOf(Keys, one.Key));

    private sealed record Packet(int Key, bool IsFromPod, double After, string Flags, uint Seq, uint? Retransmits);

    private sealed record Interval(List<Packet> Packets, double Seconds, int Generation, int Kills, int Repeats, bool IsReopened)
    {
        internal DrainedRow<FlowKey, FlowValue>[] RowsFrom(double now)
        {
            var map = new FlowMap();
            foreach (var packet in Packets.OrderBy(packet => packet.After))
            {
                var key = Keys[packet.Key];
                map.Count(key, packet.IsFromPod, now + (packet.After * Seconds), key.IsTcp ? packet.Flags : "", packet.Seq, key.IsTcp && packet.IsFromPod ? packet.Retransmits : null);
            }
            return map.Rows;
        }

        public override string ToString() => $"{Seconds} s, generation +{Generation}, {Kills} kills, {Repeats} repeats, {(IsReopened ? "reopened" : "")} [{string.Join(", ", Packets)}]";
    }

    private sealed record Seen(FlowKey Key, FlowSight Sight)
    {
        public override string ToString() => $"{Key.Protocol} {Key.LocalPortNumber}-{Key.RemotePortNumber}: {Sight}";
    }

    /// <summary>One process after the other on the same memory.</summary>
    private sealed class Process
    {
        private static readonly UInt128 Epoch = new(3, 4);

        private readonly Random _random;
        private KeptMemory _memory = new();
        private ulong _committed;

        internal Process(Random random)
        {
            _random = random;
            Restart();
        }

        internal FlowTable Table { get; private set; } = null!;

        internal int Count => Table.Count;

        internal void Restart() => Table = new(FlowSlots.Open(_memory, Room, Epoch, _committed, FlowMap.Epoch), _committed);

        internal List<Seen> TakeUp(DrainedRow<FlowKey, FlowValue>[] rows, long generation, FlowClock clock)
        {
            var seen = Take(_committed + 1, rows, generation, clock);
            _committed++;
            Table.End();
            return seen;
        }

        internal List<Seen> Repeat(DrainedRow<FlowKey, FlowValue>[] rows, long generation, FlowClock clock)
        {
            var seen = Take(_committed, rows, generation, clock);
            Table.End();
            return seen;
        }

        internal void TakeUpUntilKilled(DrainedRow<FlowKey, FlowValue>[] rows, long generation, FlowClock clock) => Kill(() => Take(_committed + 1, rows, generation, clock));

        internal void RepeatUntilKilled(DrainedRow<FlowKey, FlowValue>[] rows, long generation, FlowClock clock) => Kill(() => Take(_committed, rows, generation, clock));

        /// <summary>Changes the key of the first slot.</summary>
        internal void TearSlot()
        {
            using var segment = _memory.Open(FlowSlots.LayoutOf(Room), 0, 2)!;
            segment.Bytes[MappedArray.ElementBytes + 4] ^= 1;
        }

        private List<Seen> Take(ulong interval, DrainedRow<FlowKey, FlowValue>[] rows, long generation, FlowClock clock)
        {
            Table.Begin(interval);
            var seen = new List<Seen>();
            foreach (var row in rows)
            {
                seen.Add(new(row.Key, Table.See(row.Key, row.Value, generation, FlowMap.TimeOf(-30), clock, key => (key.LocalPortNumber >= key.RemotePortNumber, FlowOrientation.Port))));
            }
            Table.Sweep(clock, (key, _, sight) => seen.Add(new(key, sight)));
            return seen;
        }

        /// <summary>Any of the words between two looks at the memory is stored.</summary>
        private void Kill(Action action)
        {
            // Also stores of the opening before.
            var accesses = _random.Next(1, 120);
            KeptMemory? before = null, after = null;
            _memory.OnAccess = () =>
            {
                accesses--;
                before = accesses == 1 ? _memory.Copy() : before;
                after = accesses == 0 ? _memory.Copy() : after;
            };
            Restart();
            action();
            _memory.OnAccess = null;
            after ??= _memory.Copy();
            var stored = _random.Next(101);
            _memory = (before ?? after).Tear(after, () => _random.Next(100) < stored);
            Restart();
        }
    }
}
