using System.Buffers;
using System.Text;
using Exporter.Export;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

public sealed class ExportRingTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Each_sink_reads_all_lines_in_their_order_with_the_record_that_closes_the_interval_for_it()
    {
        var lines = new ExportedLines(_time);
        lines.Begin();
        lines.Append(2);
        lines.Append(1, LineKind.Identity);
        lines.Append(1, LineKind.Rest);
        lines.End();

        Assert.Equal(["Flow 0 ", "Flow 1 ", "Identity 2 ", "Rest 3 ", "end 1 a 3 24 3 3 0"], ExportedLines.ReadAll(lines[0]));
        Assert.Equal(["Flow 0 ", "Flow 1 ", "Identity 2 ", "Rest 3 ", "end 1 b 3 24 3 3 0"], ExportedLines.ReadAll(lines[1]));
        Assert.Empty(ExportedLines.ReadAll(lines[0]));
    }

    [Fact]
    public void A_batch_has_each_record_with_its_kind_and_key()
    {
        var lines = new ExportedLines(_time);
        lines.Begin();
        lines.Append(1);
        lines.Append(1, LineKind.Identity);
        lines.End();

        var batch = lines[0].TryRead()!;
        var records = new List<string>();
        foreach (var record in batch)
        {
            records.Add($"{Encoding.UTF8.GetString(record.Line)}{Encoding.UTF8.GetString(record.Key)} {record.Kind}");
        }
        lines[0].Settle(batch);

        Assert.Equal(["Flow 0 \nkey 0 Flow", "Identity 1 \nkey 1 Identity"], records);
        foreach (var record in lines[0].TryRead()!)
        {
            Assert.Equal(LineKind.Interval, record.Kind);
            Assert.Equal("node-0"u8, record.Key);
        }
    }

    [Fact]
    public void A_sink_sees_lines_when_their_block_is_full_or_their_interval_has_ended()
    {
        var lines = new ExportedLines(_time);
        lines.Begin();
        lines.Append(3, padding: 1000);
        Assert.Null(lines[0].TryRead());
        Assert.Equal(0, lines[0].Counts.Issued);

        lines.Append(1, padding: 1000);
        Assert.Equal(3, lines[0].Counts.Issued);
        Assert.Equal(3, ExportedLines.ReadAll(lines[0]).Count);

        lines.End();
        Assert.Equal(2, ExportedLines.ReadAll(lines[0]).Count);
    }

    [Fact]
    public async Task Without_room_the_producer_waits_until_the_slowest_sink_has_acknowledged_a_block()
    {
        var lines = new ExportedLines(_time, blocks: 4);
        lines.Begin();
        Assert.InRange(lines.Append(100, padding: 1000), 12, 15);
        Assert.Equal(4 * ExportedLines.BlockBytes, lines.Ring.Memory);
        var room = lines.Ring.WaitForRoomAsync(TestContext.Current.CancellationToken).AsTask();

        ExportedLines.ReadAll(lines[0]);
        var batch = lines[1].TryRead()!;
        Assert.False(room.IsCompleted);
        lines[1].Settle(batch);

        Assert.True(await room);
        Assert.Equal(1, lines.Append(1, padding: 1000));
    }

    [Fact]
    public async Task A_wait_for_room_that_is_cancelled_says_that_there_is_none()
    {
        var lines = new ExportedLines(_time, blocks: 4);
        lines.Begin();
        lines.Append(100, padding: 1000);
        using var source = new CancellationTokenSource();

        var room = lines.Ring.WaitForRoomAsync(source.Token);
        await source.CancelAsync();

        Assert.False(await room);
    }

    [Fact]
    public void A_block_that_is_dropped_is_lost_for_the_slowest_sink_alone()
    {
        var lines = new ExportedLines(_time, blocks: 4);
        lines.Begin();
        var count = lines.Append(100, padding: 1000);
        var read = ExportedLines.ReadAll(lines[0]);

        Assert.True(lines.Ring.DropOldest());
        lines.Append(1, padding: 1000);
        lines.End();

        Assert.Equal(count + 1, read.Count + ExportedLines.ReadAll(lines[0]).Count - 1);
        Assert.Equal(0, lines[0].Counts.Lost);
        Assert.Equal(3, lines[1].Counts.Backpressure);
        var late = ExportedLines.ReadAll(lines[1]);
        Assert.Equal([.. Enumerable.Range(3, count - 2)], late.Select(ExportedLines.NumberOf).OfType<int>());
        Assert.EndsWith($" {count + 1} {count - 2} 3", late[^1], StringComparison.Ordinal);
        Assert.Equal(0, lines[1].Counts.UnderWay);
    }

    [Fact]
    public void A_batch_that_a_sink_has_is_not_dropped_and_its_memory_is_not_used()
    {
        var lines = new ExportedLines(_time, blocks: 4);
        lines.Begin();
        lines.Append(3, padding: 1000);
        lines.Append(1, padding: 1000);
        var held = lines[1].TryRead()!;
        var before = ExportedLines.LinesOf(held);

        for (var i = 0; i < 100; i++)
        {
            if (lines.Append(1, padding: 1000) == 0)
            {
                Assert.True(lines.Ring.DropOldest());
            }
        }

        Assert.Equal(before, ExportedLines.LinesOf(held));
        Assert.Equal(4 * ExportedLines.BlockBytes, lines.Ring.Memory);
        lines[1].Settle(held);
        Assert.Equal(3, lines[1].Counts.Acknowledged);
    }

    [Fact]
    public void Intervals_are_settled_when_all_their_records_are_acknowledged_or_lost()
    {
        var lines = new ExportedLines(_time, blocks: 4);
        var settled = new List<(string, ulong)>();
        foreach (var reader in lines.Ring.Readers)
        {
            reader.IntervalSettled += reader => settled.Add((reader.Sink, reader.SettledInterval));
        }
        lines.Fill(2);
        var batch = lines[0].TryRead()!;
        lines[0].Settle(batch);
        Assert.Equal(0ul, lines[0].SettledInterval);
        lines[0].Settle(lines[0].TryRead()!);
        Assert.Equal([("a", 1ul)], settled);

        for (var i = 0; i < 5; i++)
        {
            lines.Begin();
            while (lines.Append(1, padding: 2000) == 0)
            {
                lines.Ring.DropOldest();
            }
            lines.End();
            ExportedLines.ReadAll(lines[0]);
        }

        Assert.Equal([1ul, 2, 3, 4, 5, 6], settled.Where(of => of.Item1 == "a").Select(of => of.Item2));
        Assert.InRange(lines[1].SettledInterval, 1ul, 5ul);
        Assert.True(lines[1].Counts.Backpressure > 0);
        ExportedLines.ReadAll(lines[1]);
        Assert.Equal(6ul, lines[1].SettledInterval);
    }

    [Fact]
    public void Rejected_records_are_lost_and_settled()
    {
        var lines = new ExportedLines(_time);
        lines.Begin();
        lines.Append(2);
        lines.Append(1, LineKind.Identity);
        lines.End();

        var batch = lines[0].TryRead()!;
        foreach (var record in batch)
        {
            batch.Reject(record);
        }
        batch.Restart();
        foreach (var record in batch)
        {
            if (record.Kind == LineKind.Identity || record.Line.SequenceEqual("Flow 1 \n"u8))
            {
                batch.Reject(record);
            }
        }
        Assert.Equal(2, batch.Rejected);
        lines[0].Settle(batch);

        Assert.Equal(new SinkCounts(2, 1, Rejected: 1), lines[0].Counts);
    }

    [Fact]
    public void Pressure_is_the_share_of_blocks_of_earlier_intervals_that_a_sink_has_not_acknowledged()
    {
        var lines = new ExportedLines(_time, blocks: 10);
        Assert.Equal(0, lines.Ring.Pressure);
        lines.Begin();
        lines.Append(15, padding: 1000);
        Assert.Equal(0, lines.Ring.Pressure);
        lines.End();
        Assert.Equal(0.5, lines.Ring.Pressure);
        lines.Begin();
        lines.Append(6, padding: 1000);
        Assert.Equal(0.5, lines.Ring.Pressure);

        ExportedLines.ReadAll(lines[0]);
        Assert.Equal(0.5, lines.Ring.Pressure);
        lines[1].Settle(lines[1].TryRead()!);
        Assert.Equal(0.4, lines.Ring.Pressure);
        lines.End();
        ExportedLines.ReadAll(lines[0]);
        ExportedLines.ReadAll(lines[1]);
        Assert.Equal(0, lines.Ring.Pressure);
    }

    [Fact]
    public void The_age_and_the_size_of_the_queue_are_those_of_lines_that_are_not_acknowledged()
    {
        var lines = new ExportedLines(_time);
        lines.Fill(1);
        _time.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal((8, TimeSpan.FromSeconds(5)), (lines[0].QueueBytes, lines[0].OldestAge));
        ExportedLines.ReadAll(lines[0]);
        Assert.Equal((0, TimeSpan.Zero), (lines[0].QueueBytes, lines[0].OldestAge));

        _time.Advance(TimeSpan.FromSeconds(60));
        lines.Fill(1);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((8, TimeSpan.FromSeconds(2)), (lines[0].QueueBytes, lines[0].OldestAge));
        var batch = lines[0].TryRead()!;
        Assert.Equal((8, TimeSpan.FromSeconds(2)), (lines[0].QueueBytes, lines[0].OldestAge));
        lines[0].Settle(batch);
        Assert.Equal(TimeSpan.FromSeconds(67), lines[1].OldestAge);
    }

    [Fact]
    public void Counts_continue_with_those_of_the_process_before()
    {
        var lines = new ExportedLines(_time, 8, ExportedLines.BlockBytes, ("a", new(10, 7, Crash: 3)));
        lines.Fill(2);
        Assert.Equal(new SinkCounts(12, 7, Crash: 3), lines[0].Counts);
        Assert.Equal("end 1 a 2 16 12 9 3", ExportedLines.ReadAll(lines[0])[^1]);
    }

    [Fact]
    public void At_the_end_records_of_intervals_that_nothing_else_has_are_lost()
    {
        var lines = new ExportedLines(_time);
        lines.Fill(3);
        lines.Fill(4);
        lines.Begin();
        lines.Append(5);
        var batch = lines[1].TryRead()!;

        lines.Ring.Abandon(2, LossReason.Shutdown);

        Assert.Equal(new SinkCounts(12, 0, Shutdown: 3), lines[0].Counts);
        Assert.Equal(new SinkCounts(12, 0, Shutdown: 3), lines[1].Counts);
        lines[1].Settle(batch);
        Assert.Equal(new SinkCounts(12, 0, Shutdown: 3), lines[1].Counts);
        Assert.Null(lines[0].TryRead());
    }

    [Fact]
    public void At_the_end_the_memory_returns_but_for_a_block_and_one_that_a_sink_still_writes()
    {
        var lines = new ExportedLines(_time, blocks: 8);
        var pages = Fill(out var batch);

        lines.Ring.Abandon(ulong.MaxValue, LossReason.Shutdown);

        Assert.Equal(ExportedLines.BlockBytes, lines.Ring.Memory);
        Assert.Equal(0, lines[0].QueueBytes);
        GC.Collect();
        // The last one is the ring's own.
        Assert.Equal([true, .. Enumerable.Repeat(false, pages.Count - 2), true], pages.Select(page => page.IsAlive));
        Assert.StartsWith("Flow 0", ExportedLines.LinesOf(batch)[0], StringComparison.Ordinal);
        lines[1].Settle(batch);
        Assert.Null(lines[0].TryRead());

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        List<WeakReference> Fill(out RecordBatch batch)
        {
            lines.Fill(18, padding: 1000);
            var pages = new List<WeakReference>();
            for (var block = lines[0].Block; block is not null; block = block.Next)
            {
                pages.Add(new(block.Page));
            }
            Assert.Equal(6, pages.Count);
            batch = lines[1].TryRead()!;
            return pages;
        }
    }

    [Fact]
    public void Memory_of_a_peak_returns_block_by_block()
    {
        var lines = new ExportedLines(_time, blocks: 8);
        lines.Fill(18, padding: 1000);
        Assert.Equal(6 * ExportedLines.BlockBytes, lines.Ring.Memory);
        for (var i = 0; i < 6; i++)
        {
            ExportedLines.ReadAll(lines[0]);
            ExportedLines.ReadAll(lines[1]);
            lines.Fill(1);
        }
        Assert.InRange(lines.Ring.Memory, 1, 2 * ExportedLines.BlockBytes);
    }

    [Fact]
    public void A_line_without_an_end_or_outside_an_interval_is_refused()
    {
        var lines = new ExportedLines(_time);
        Assert.Throws<ArgumentException>(() => lines.Ring.TryAppend("a\n"u8, LineKind.Flow, []));
        lines.Begin();
        Assert.Throws<ArgumentException>(() => lines.Ring.TryAppend("a"u8, LineKind.Flow, []));
        Assert.Throws<ArgumentException>(() => lines.Ring.TryAppend(new byte[ExportedLines.BlockBytes], LineKind.Flow, []));
        Assert.Throws<InvalidOperationException>(() => lines.Ring.Begin(2));
        Assert.Throws<InvalidOperationException>(() => lines.Ring.End(default));
    }

    [Fact]
    public void Nothing_is_allocated_for_records_in_steady_state()
    {
        var ring = new ExportRing(32 << 20, [("a", default), ("b", default)], new ShortClosing(), _time);
        var line = new byte[800];
        line[^1] = (byte)'\n';
        var least = long.MaxValue;

        for (var round = 1u; round < 20; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            ring.Begin(round);
            for (var i = 0; i < 1000; i++)
            {
                ring.TryAppend(line, LineKind.Flow, line.AsSpan(0, 13));
            }
            ring.End(new(round, 1000, 800_000, default, default));
            foreach (var reader in ring.Readers)
            {
                while (reader.TryRead() is { } batch)
                {
                    reader.Settle(batch);
                }
            }
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.All(ring.Readers, reader => Assert.Equal(19_000, reader.Counts.Acknowledged));
        // The enumerator of this loop over the readers.
        Assert.InRange(least, 0, 64);
    }

    private sealed class ShortClosing : IClosingRecord
    {
        public ReadOnlyMemory<byte> Key => default;

        public void Write(string sink, in IntervalEnd end, in SinkCounts counts, IBufferWriter<byte> line) => line.Write("{}\n"u8);
    }
}
