using Exporter.Export;
using Exporter.Signals.Flows;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>What the ledger keeps of flows from one process to the next.</summary>
public sealed class FlowBookTests
{
    private const ulong Digest = 7;

    private readonly KeptMemory _memory = new();

    [Fact]
    public void An_epoch_lives_as_long_as_the_ledger_and_another_ledger_has_another()
    {
        var first = Open(_memory).Epoch;

        Assert.Equal(first, Open(_memory.Copy()).Epoch);
        Assert.NotEqual(first, Open(new()).Epoch);
        Assert.NotEqual(UInt128.Zero, first);
    }

    [Fact]
    public void Intervals_are_numbered_on_after_a_kill()
    {
        Begin(Open(_memory), interval: 1, map: 40);

        Assert.Equal(1ul, Open(_memory.Copy()).Interval);
    }

    [Fact]
    public void A_killed_process_s_interval_is_read_again_with_its_header()
    {
        var header = Begin(Open(_memory, "file"), interval: 1, map: 40);
        var next = Open(_memory.Copy(), "file");

        Assert.Null(next.FindRepeat(map: 41, Digest, out _));
        Assert.Equal(header.Clock.ReadAt, next.FindRepeat(map: 40, Digest, out _)?.Clock.ReadAt);
        Assert.Equal(header.Start, Open(_memory.Copy(), "file").FindRepeat(map: 40, Digest, out _)?.Start);
        Assert.Equal(header.Clock.Ticks, Open(_memory.Copy(), "file").FindRepeat(map: 40, Digest, out _)?.Clock.Ticks);
    }

    [Fact]
    public void A_header_that_is_not_committed_is_not_there()
    {
        var book = Open(_memory, "file");
        var before = _memory.Copy();
        Begin(book, interval: 1, map: 40);

        Assert.Null(Open(before, "file").FindRepeat(map: 40, Digest, out _));
    }

    [Fact]
    public void With_other_options_that_shape_records_nothing_is_written_again()
    {
        Begin(Open(_memory, "file"), interval: 1, map: 40);

        Assert.Null(Open(_memory.Copy(), "file").FindRepeat(map: 40, digest: Digest + 1, out var isChanged));
        Assert.True(isChanged);
    }

    /// <summary>As after a start with another MaxFlows and back: another pair of maps is read first.</summary>
    [Fact]
    public void A_killed_process_s_interval_is_given_up_once_another_one_begins_before_it_is_read_again()
    {
        Begin(Open(_memory, "file"), interval: 1, map: 40);
        var next = Open(_memory.Copy(), "file");

        Assert.True(GivesUp(next, interval: 2, map: 41));
        Assert.False(GivesUp(next, interval: 3, map: 42));
        Assert.Null(next.FindRepeat(map: 40, Digest, out var isChanged));
        Assert.False(isChanged);
    }

    [Fact]
    public void An_interval_whose_map_was_about_to_be_emptied_is_not_given_up()
    {
        var book = Open(_memory, "file");
        Begin(book, interval: 1, map: 40);
        lock (book.Ledger.Lock)
        {
            book.Close();
            book.Ledger.Commit();
        }

        Assert.False(GivesUp(Open(_memory.Copy(), "file"), interval: 2, map: 41));
    }

    [Fact]
    public void Records_under_way_at_a_kill_are_lost_and_all_else_continues()
    {
        var (book, ring) = OpenWithRing(_memory);
        Begin(book, interval: 1, map: 40);
        ring.Begin(1);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(ring.TryAppend("{}\n"u8, LineKind.Flow, "key"u8));
        }
        ring.End(new(1, 5, 15, default, default));
        Save(book, ring);

        var counts = Open(_memory.Copy(), "file").StartOf("file");

        Assert.Equal((5, 0, 5, 0), (counts.Issued, counts.Acknowledged, counts.Crash, counts.UnderWay));
    }

    [Fact]
    public void At_an_orderly_end_the_last_interval_s_records_are_not_lost_while_its_map_is_kept()
    {
        EndOrderly();
        for (var i = 0; i < 2; i++)
        {
            // The first one is killed before it has read the map.
            var next = Open(_memory, "file");

            Assert.Equal(new SinkCounts(3, 0, Shutdown: 3), next.StartOf("file"));
            Assert.Equal(i == 0 ? 5 : 0, next.ReturnedOf("file"));
            Assert.False(next.Has("file", 2));
            Assert.NotNull(next.FindRepeat(map: 41, Digest, out _));
        }
    }

    [Fact]
    public void Records_that_were_issued_again_after_an_orderly_end_are_written_once_more_after_a_kill_and_lost_with_their_map()
    {
        EndOrderly();
        var (book, ring) = OpenWithRing(_memory);
        Assert.NotNull(book.FindRepeat(map: 41, Digest, out _));
        Issue(ring, 2, 5);
        Save(book, ring);
        Assert.Equal(new SinkCounts(3, 0, Shutdown: 3), Open(_memory.Copy(), "file").StartOf("file"));

        lock (book.Ledger.Lock)
        {
            book.Close();
            book.Ledger.Commit();
        }
        Assert.Equal(new SinkCounts(8, 0, Shutdown: 3, Crash: 5), Open(_memory.Copy(), "file").StartOf("file"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void After_an_orderly_end_the_last_interval_s_records_are_lost_when_its_map_is_not_kept(bool isReleased)
    {
        EndOrderly(isReleased);
        if (!isReleased)
        {
            // A session without the sink begins another interval.
            Begin(Open(_memory), interval: 3, map: 40);
        }

        Assert.Equal(new SinkCounts(8, 0, Shutdown: 3, Crash: 5), Open(_memory.Copy(), "file").StartOf("file"));
    }

    [Fact]
    public void Once_all_sinks_have_an_interval_it_is_not_written_again()
    {
        var (book, ring) = OpenWithRing(_memory);
        Begin(book, interval: 1, map: 40);
        ring.Begin(1);
        Assert.True(ring.TryAppend("{}\n"u8, LineKind.Flow, "key"u8));
        ring.End(new(1, 1, 3, default, default));
        var reader = ring.Readers[0];
        while (reader.TryRead() is { } batch)
        {
            reader.Settle(batch);
        }
        Save(book, ring);
        var next = Open(_memory.Copy(), "file");

        Assert.Equal((1, 1, 0), (next.StartOf("file").Issued, next.StartOf("file").Acknowledged, next.StartOf("file").Lost));
        Assert.Equal((true, false), (next.Has("file", 1), next.Has("file", 2)));
        Assert.Null(next.FindRepeat(map: 40, Digest, out _));
        Assert.False(GivesUp(next, interval: 2, map: 41));
    }

    /// <summary>No record of it was ever the sink's.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_sink_that_is_new_is_not_said_to_miss_the_intervals_before_it(bool isFirst)
    {
        Begin(isFirst ? Open(_memory) : Open(_memory, "file"), interval: 7, map: 40);

        var next = Open(_memory.Copy(), isFirst ? ["stdout"] : ["file", "stdout"]);

        Assert.Equal((true, false), (next.Has("stdout", 7), next.Has("stdout", 8)));
        Assert.Equal(isFirst, next.FindRepeat(map: 40, Digest, out _) is null);
    }

    /// <summary>It had nothing to be acknowledged before, and an interval is begun before its first record.</summary>
    [Fact]
    public void A_sink_whose_first_interval_a_kill_cut_short_does_not_have_it()
    {
        Begin(Open(_memory, "file"), interval: 1, map: 40);
        Begin(Open(_memory, "file", "stdout"), interval: 2, map: 41);

        foreach (var memory in (KeptMemory[])[_memory.Copy(), _memory])
        {
            var next = Open(memory, "file", "stdout");
            Assert.Equal((false, false), (next.Has("file", 2), next.Has("stdout", 2)));
            Assert.NotNull(next.FindRepeat(map: 41, Digest, out _));
        }
    }

    /// <summary>A sink has taken nothing of two intervals.</summary>
    private void EndOrderly(bool isReleased = false)
    {
        var (book, ring) = OpenWithRing(_memory);
        Begin(book, interval: 1, map: 40);
        Issue(ring, 1, 3);
        Begin(book, interval: 2, map: 41);
        Issue(ring, 2, 5);
        ring.Abandon(2, LossReason.Shutdown);
        lock (book.Ledger.Lock)
        {
            if (isReleased)
            {
                book.Close();
            }
            book.Save(ring.Readers[0]);
            book.Keep(ring.Readers[0]);
            book.Ledger.Commit();
        }
    }

    private static void Issue(ExportRing ring, ulong interval, int records)
    {
        ring.Begin(interval);
        for (var i = 0; i < records; i++)
        {
            Assert.True(ring.TryAppend("{}\n"u8, LineKind.Flow, "key"u8));
        }
        ring.End(new(interval, records, 3 * records, default, default));
    }

    private static FlowBook Open(KeptMemory memory, params string[] sinks) => new(Ledger.OpenIn(memory), sinks);

    private static (FlowBook Book, ExportRing Ring) OpenWithRing(KeptMemory memory)
    {
        var book = Open(memory, "file");
        return (book, new ExportedLines(TimeProvider.System, sinks: [("file", book.StartOf("file"))]).Ring);
    }

    private static FlowHeader Begin(FlowBook book, ulong interval, int map) => Begin(book, interval, map, out _);

    private static bool GivesUp(FlowBook book, ulong interval, int map)
    {
        Begin(book, interval, map, out var givesUp);
        return givesUp;
    }

    private static FlowHeader Begin(FlowBook book, ulong interval, int map, out bool givesUp)
    {
        var header = new FlowHeader(interval, map, new(2026, 11, 28, 10, 0, 0, TimeSpan.Zero), new(new(2026, 11, 28, 10, 0, 10, TimeSpan.Zero), Ticks: 0, Rate: 250), new(new(5, TimeSpan.Zero), 0, 250), Digest, Budget: 100_000);
        lock (book.Ledger.Lock)
        {
            givesUp = book.Begin(header);
            book.Ledger.Commit();
        }
        return header;
    }

    private static void Save(FlowBook book, ExportRing ring)
    {
        lock (book.Ledger.Lock)
        {
            book.Save(ring.Readers[0]);
            book.Ledger.Commit();
        }
    }
}
