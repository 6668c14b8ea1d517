using CsCheck;
using Exporter.Export;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// Any order of a producer's steps and of three sinks' steps, whose writes succeed, fail, or take long: each sink gets each record in the order of the numbers,
/// or it is counted as lost.
/// </summary>
public sealed class ExportRingPropertyTests
{
    private const int Blocks = 6;

    private static readonly LineKind[] Kinds = [LineKind.Flow, LineKind.Flow, LineKind.Rest, LineKind.Identity];

    private static readonly Gen<Step> Steps = Gen.Frequency(
        (6, Gen.Select(Gen.Int[1, 12], Gen.Int[0, 1500], Gen.Int[0, Kinds.Length - 1]).Select((count, padding, kind) => new Step(Do.Append, count, padding, Kinds[kind]))),
        (2, Gen.Const(new Step(Do.NextInterval))),
        (5, Gen.Int[0, 2].Select(sink => new Step(Do.Take, sink))),
        (5, Gen.Int[0, 2].Select(sink => new Step(Do.Acknowledge, sink))),
        (1, Gen.Int[0, 2].Select(sink => new Step(Do.Fail, sink))),
        (1, Gen.Int[0, 2].Select(sink => new Step(Do.Reject, sink))));

    private enum Do
    {
        Append,
        NextInterval,
        Take,
        Acknowledge,
        Fail,
        Reject,
    }

    [Fact]
    public void Each_sink_gets_each_record_in_order_or_it_is_counted_as_lost() =>
        Gen.Select(Steps.Array[1, 300], Gen.Bool).Sample((steps, isKept) => new Game().Play(steps, isKept), iter: 2_000);

    private sealed record Step(Do What, int Count = 0, int Padding = 0, LineKind Kind = LineKind.Flow);

    private sealed class Sink(ExportReader reader)
    {
        private RecordBatch? _batch;

        /// <summary>The numbers of the flow and rest records that it has acknowledged.</summary>
        internal List<int> Acknowledged { get; } = [];

        internal List<int> Rejected { get; } = [];

        internal List<string> Closings { get; } = [];

        internal void Take() => _batch ??= reader.TryRead();

        internal void Settle(bool rejectsFirst)
        {
            if (_batch is null)
            {
                return;
            }
            var rejected = 0;
            foreach (var record in _batch)
            {
                if (rejectsFirst && rejected == 0 && record.IsCounted)
                {
                    _batch.Reject(record);
                    rejected++;
                }
            }
            var lines = ExportedLines.LinesOf(_batch);
            var numbers = lines.Select(ExportedLines.NumberOf).OfType<int>().ToList();
            Rejected.AddRange(numbers.Take(rejected));
            Acknowledged.AddRange(numbers.Skip(rejected));
            Closings.AddRange(lines.Where(line => line.StartsWith("end", StringComparison.Ordinal)));
            reader.Settle(_batch);
            _batch = null;
        }

        /// <summary>It will be written again: nothing is acknowledged, and it is as it was.</summary>
        internal void Fail()
        {
            foreach (var record in _batch ?? Empty)
            {
                _batch!.Reject(record);
            }
            _batch?.Restart();
        }

        private static RecordBatch Empty { get; } = CreateEmpty();

        private static RecordBatch CreateEmpty()
        {
            var page = new RecordPage(64);
            var batch = new RecordBatch();
            batch.Set(null, page, page.Start, page.Start);
            return batch;
        }
    }

    private sealed class Game
    {
        private readonly ExportedLines _lines = new(TimeProvider.System, Blocks, ExportedLines.BlockBytes, ("a", default), ("b", new(5, 3, Crash: 2)), ("c", default));
        private readonly Sink[] _sinks;
        private readonly List<int> _counted = [];

        internal Game()
        {
            _sinks = [.. _lines.Ring.Readers.Select(reader => new Sink(reader))];
            _lines.Begin();
        }

        internal void Play(Step[] steps, bool isKept)
        {
            foreach (var step in steps)
            {
                Do(step);
                Check();
            }
            _lines.End();
            foreach (var sink in _sinks)
            {
                sink.Take();
                sink.Settle(rejectsFirst: false);
            }
            if (isKept)
            {
                foreach (var sink in _sinks)
                {
                    for (var i = 0; i < 2 * steps.Length + 4; i++)
                    {
                        sink.Take();
                        sink.Settle(rejectsFirst: false);
                    }
                }
            }
            else
            {
                _lines.Ring.Abandon(ulong.MaxValue, LossReason.Shutdown);
            }
            CheckEnd(isKept);
        }

        private void Do(Step step)
        {
            switch (step.What)
            {
                case ExportRingPropertyTests.Do.Append:
                    for (var i = 0; i < step.Count; i++)
                    {
                        var number = _lines.Next;
                        while (_lines.Append(1, step.Kind, step.Padding) == 0)
                        {
                            Assert.True(_lines.Ring.DropOldest());
                            Check();
                        }
                        if (step.Kind != LineKind.Identity)
                        {
                            _counted.Add(number);
                        }
                    }
                    break;
                case ExportRingPropertyTests.Do.NextInterval:
                    _lines.End();
                    _lines.Begin();
                    break;
                case ExportRingPropertyTests.Do.Take:
                    _sinks[step.Count].Take();
                    break;
                case ExportRingPropertyTests.Do.Acknowledge:
                    _sinks[step.Count].Settle(rejectsFirst: false);
                    break;
                case ExportRingPropertyTests.Do.Fail:
                    _sinks[step.Count].Fail();
                    break;
                default:
                    _sinks[step.Count].Settle(rejectsFirst: true);
                    break;
            }
        }

        private void Check()
        {
            Assert.InRange(_lines.Ring.Memory, 0, Blocks * ExportedLines.BlockBytes);
            Assert.InRange(_lines.Ring.Pressure, 0, 1);
            foreach (var (sink, reader) in _sinks.Zip(_lines.Ring.Readers))
            {
                var counts = reader.Counts;
                Assert.Equal(sink.Acknowledged.Count, counts.Acknowledged - (reader.Sink == "b" ? 3 : 0));
                Assert.Equal(sink.Rejected.Count, counts.Rejected);
                Assert.True(counts.UnderWay >= 0);
                Assert.True(counts.Issued - (reader.Sink == "b" ? 5 : 0) <= _counted.Count);
            }
        }

        /// <summary>Records under way are none, so each that was not acknowledged is counted by its reason.</summary>
        private void CheckEnd(bool isKept)
        {
            foreach (var (sink, reader) in _sinks.Zip(_lines.Ring.Readers))
            {
                var counts = reader.Counts;
                Assert.Equal(0, counts.UnderWay);
                Assert.Equal(_counted.Count, counts.Issued - (reader.Sink == "b" ? 5 : 0));
                int[] arrived = [.. sink.Acknowledged, .. sink.Rejected];
                Assert.Equal(sink.Acknowledged.Order(), sink.Acknowledged);
                Assert.Distinct(arrived);
                Assert.Empty(arrived.Except(_counted));
                Assert.Equal(_counted.Count - arrived.Length, counts.Backpressure + counts.Shutdown);
                Assert.Equal(sink.Closings.Order(Comparer<string>.Create((left, right) => NumberOf(left).CompareTo(NumberOf(right)))), sink.Closings);
                if (isKept)
                {
                    Assert.Equal(0, counts.Shutdown);
                    Assert.Equal(_lines.Interval, reader.SettledInterval);
                    Assert.Equal(0, reader.QueueBytes);
                    Assert.EndsWith($" {counts.Issued} {counts.Acknowledged} {counts.Lost}", sink.Closings[^1], StringComparison.Ordinal);
                }
            }
            Assert.True(!isKept || _lines.Ring.Pressure == 0);
        }

        private static int NumberOf(string closing) => int.Parse(closing.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
    }
}
