using System.Globalization;
using Exporter.Bpf;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class LedgerTests
{
    /// <summary>Of keys, and of each signal's rows.</summary>
    internal const int FirstSegments = 3;

    /// <summary>Of traffic, that there is room for in one.</summary>
    private const int Rows = 125;

    private const int Records = Rows + 3;

    private static readonly byte[] One = [1];
    private static readonly byte[] Two = [2];

    private KeptMemory _memory = new();
    private Ledger _ledger;

    public LedgerTests() => _ledger = Ledger.OpenIn(_memory);

    [Fact]
    public void A_commit_puts_all_additions_in_force_at_once()
    {
        var (one, two) = (Open(One, new Shown()), Open(Two, new Shown()));
        one.Add(Counted.Sent(3, 300));
        one.Add(Counted.Delivered(1, 60));
        one.Add(Counted.Handshakes(Counted.Resent(5)));
        two.Add(Counted.Sent(7, 700));
        Assert.Equal((0, 0), (Packets(one.Committed), Packets(two.Committed)));
        Assert.Equal((4, 7), (Packets(one.Total), Packets(two.Total)));
        Assert.Empty(Reopened());

        Commit();

        Assert.Equal((4, 7), (Packets(one.Committed), Packets(two.Committed)));
        Assert.Equal([("1", 4), ("2", 7)], Reopened());
        Assert.Equal(5ul, one.Committed.Handshakes.Client.Retransmits);
        Assert.Equal(360ul, one.Committed.Traffic.Transmit.Total.Bytes + one.Committed.Traffic.Receive.Total.Bytes);
    }

    [Fact]
    public void Every_commit_adds_to_the_ones_before()
    {
        var one = Open(One);
        for (ulong i = 1; i <= 10; i++)
        {
            one.Add(Counted.Sent(i, 0));
            Commit();
        }

        Assert.Equal([("1", 55)], Reopened());
    }

    [Fact]
    public void A_record_that_nothing_was_added_to_is_there_after_a_commit_and_stays_through_others()
    {
        Open(One);
        Commit();
        var two = Open(Two);
        for (var i = 0; i < 5; i++)
        {
            two.Add(Counted.Sent(1, 0));
            Commit();
        }

        Assert.Equal([("1", 0), ("2", 5)], Reopened());
    }

    [Fact]
    public void What_is_shown_is_what_was_committed()
    {
        var shown = new Shown();
        var one = Open(One, shown);
        one.Add(Counted.Sent(3, 300));
        one.Add(Counted.Sent(4, 300));
        Assert.Equal(0, shown.Packets);

        Commit();
        Assert.Equal(7, shown.Packets);

        Commit();
        _ledger.OpenNow(RecordKind.Interface, Two);
        Assert.Equal(7, shown.Packets);

        one.Add(Counted.Handshakes(Counted.Resent(2)));
        Assert.Equal(0, shown.Retransmits);
        Commit();
        Assert.Equal((7, 2), (shown.Packets, shown.Retransmits));
    }

    [Fact]
    public void A_removed_record_is_gone_with_the_next_commit_and_not_before()
    {
        var one = Open(One);
        one.Add(Counted.Sent(3, 0));
        Commit();

        one.Add(Counted.Sent(4, 0));
        one.Remove();
        Assert.Equal([("1", 3)], Reopened());
        Assert.Equal(7, Packets(one.Total));

        Commit();
        Assert.Empty(Reopened());
    }

    [Fact]
    public void The_place_of_a_removed_record_is_used_again_and_begins_at_zero()
    {
        for (var i = 0; i < 1000; i++)
        {
            var entry = Open(One);
            entry.Add(Counted.Sent(1, 0));
            Commit();
            Assert.Equal([("1", 1)], Reopened());
            entry.Remove();
            Commit();
        }

        Assert.Equal(FirstSegments, _memory.Segments);
        Assert.Equal(0, _ledger.Unpinned);
    }

    [Fact]
    public void The_place_of_a_removed_record_is_not_used_before_the_commit()
    {
        var one = Open(One);
        one.Add(Counted.Sent(3, 0));
        Commit();

        one.Remove();
        Open(Two);

        Assert.Equal([("1", 3)], Reopened());
    }

    [Fact]
    public void A_key_may_come_back_in_the_commit_that_removes_it()
    {
        var one = Open(One);
        one.Add(Counted.Sent(3, 0));
        Commit();

        one.Remove();
        Open(One).Add(Counted.Sent(4, 0));
        Commit();

        Assert.Equal([("1", 4)], Reopened());
    }

    [Fact]
    public void A_key_that_fills_its_room_is_kept()
    {
        var key = Enumerable.Range(0, Ledger.KeyRoom).Select(i => (byte)i).ToArray();
        var entry = Open(key);
        entry.Add(Counted.Sent(3, 0));
        Commit();

        Assert.True(entry.HasPlace);
        var found = Assert.Single(Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Group));
        Assert.Equal(key, found.Key);
        Assert.Equal(3, Packets(found.Committed));
    }

    [Fact]
    public void Short_and_long_keys_are_kept_in_one_commit_and_removed_in_another()
    {
        var entries = Enumerable.Range(1, 9).Select(i => Open([.. Enumerable.Repeat((byte)i, i * 200)])).ToList();
        entries.ForEach(entry => entry.Add(Counted.Sent((ulong)entry.Key.Length, 0)));
        Commit();

        Assert.Equal(entries.Select(entry => (entry.Key.Length, entry.Key.Length)), Found());
        entries.FindAll(entry => entry.Key.Length % 400 == 0).ForEach(entry => entry.Remove());
        Commit();
        Assert.Equal([200, 600, 1000, 1400, 1800], Found().Select(found => found.Length));
        Assert.Equal(0, _ledger.Unpinned);

        (int Length, int Packets)[] Found() =>
            [.. Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Group).Select(entry => (entry.Key.Length, Packets(entry.Committed))).Order()];
    }

    [Fact]
    public void Only_signals_that_were_counted_take_room_and_a_second_one_comes_with_its_first_row()
    {
        _memory.Room = FirstSegments;
        var entries = Enumerable.Range(1, Rows).Select(i => Open(BitConverter.GetBytes(i))).ToList();
        entries.ForEach(entry => entry.Add(Counted.Sent(1, 0)));
        Commit();
        Assert.Equal(0, _ledger.Unpinned);

        entries[0].Add(Counted.Handshakes(Counted.Resent(5)));
        Commit();

        Assert.Equal(0, _ledger.Unpinned);
        Assert.Equal(5ul, Assert.Single(Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Group), entry => entry.Committed.Handshakes.Client.Retransmits > 0).Committed.Handshakes.Client.Retransmits);
    }

    [Fact]
    public void A_record_with_a_row_that_has_no_place_is_shown_and_its_other_row_is_kept()
    {
        _memory.Room = FirstSegments;
        var entries = Enumerable.Range(1, Rows).Select(i => Open(BitConverter.GetBytes(i))).ToList();
        entries.ForEach(entry => entry.Add(Counted.Handshakes(Counted.Resent(1))));
        Commit();
        var without = entries.FindAll(entry => !entry.HasPlace);
        Assert.NotEmpty(without);
        Assert.Equal(without.Count, _ledger.Unpinned);

        without[0].Add(Counted.Sent(4, 0));
        Commit();

        var (key, kept) = (without[0].Key, Ledger.OpenIn(_memory.Copy()));
        Assert.Equal((4, 0ul), Read(Assert.Single(kept.FindRestored(RecordKind.Group), entry => entry.Key.SequenceEqual(key))));
        _ledger.Restart();
        Assert.Equal((4, 1ul), Read(Assert.Single(_ledger.FindRestored(RecordKind.Group), entry => entry.Key.SequenceEqual(key))));
        Assert.Equal(Rows, _ledger.FindRestored(RecordKind.Group).Count);

        static (int Packets, ulong Retransmits) Read(LedgerEntry entry) => (Packets(entry.Committed), entry.Committed.Handshakes.Client.Retransmits);
    }

    /// <summary>The process is killed between the segment and the number of its table.</summary>
    [Fact]
    public void A_segment_that_no_table_has_is_used_by_the_next_that_needs_one()
    {
        _memory.Create(Ledger.Layout, FirstSegments, LedgerSegments.Pages);
        Restart();
        Fill(300);

        Assert.Equal(FirstSegments + 3, _memory.Segments);
        Assert.Equal(Enumerable.Range(0, 300), Reopened().Select(record => record.Packets));
    }

    [Fact]
    public void A_record_whose_key_is_too_long_is_not_kept_but_shown_and_told_of()
    {
        var shown = new Shown();
        var entry = Open(new byte[Ledger.KeyRoom + 1], shown);
        entry.Add(Counted.Sent(3, 0));
        Commit();
        entry.Add(Counted.Sent(4, 0));
        Commit();

        Assert.Equal((7, 7), (shown.Packets, Packets(entry.Committed)));
        Assert.Equal((false, 1), (entry.HasPlace, _ledger.Unpinned));
        Assert.Empty(Reopened());
    }

    [Fact]
    public void Removing_what_is_not_kept_gives_nobody_its_place()
    {
        Open(new byte[Ledger.KeyRoom + 1]).Remove();
        Commit();
        for (byte i = 0; i < 10; i++)
        {
            Open([i]).Add(Counted.Sent(1, 0));
        }
        Commit();

        Assert.Equal(10, Reopened().Length);
    }

    [Fact]
    public void It_grows_when_it_is_full()
    {
        Fill(300);

        // Keys have one more, and rows two.
        Assert.Equal(FirstSegments + 3, _memory.Segments);
        Assert.Equal(Enumerable.Range(0, 300), Reopened().Select(record => record.Packets));
        Assert.Equal(0, _ledger.Unpinned);
    }

    [Fact]
    public void Where_it_cannot_grow_what_has_no_place_is_shown_and_told_of()
    {
        _memory.Room = FirstSegments;
        var shown = Fill(Records, first: 1);

        Assert.Equal(Enumerable.Range(1, Records), shown.Select(one => one.Packets));
        Assert.Equal(3, _ledger.Unpinned);
        Assert.Equal(Rows, Reopened().Count(record => record.Packets > 0));
    }

    [Fact]
    public void What_has_no_place_is_left_to_the_next_session_as_the_others_are()
    {
        _memory.Room = FirstSegments;
        Fill(Records, first: 1);

        _ledger.Restart();

        Assert.Equal(3, _ledger.Unpinned);
        Assert.Equal(Enumerable.Range(1, Records), _ledger.FindRestored(RecordKind.Group).Select(entry => Packets(entry.Committed)).Order());
        foreach (var entry in _ledger.FindRestored(RecordKind.Group))
        {
            Open(entry.Key).Add(Counted.Sent(1000, 0));
        }
        Commit();
        _ledger.Restart();
        Assert.Equal(Enumerable.Range(1001, Records), _ledger.FindRestored(RecordKind.Group).Select(entry => Packets(entry.Committed)).Order());
    }

    [Fact]
    public void What_has_no_place_gets_the_first_that_is_free_with_all_that_it_counted()
    {
        _memory.Room = FirstSegments;
        var entries = Enumerable.Range(0, Records).Select(i => Open(BitConverter.GetBytes(i))).ToList();
        entries.ForEach(entry => entry.Add(Counted.Sent(5, 0)));
        Commit();
        Assert.Equal(3, _ledger.Unpinned);
        entries[0].Remove();
        entries[1].Remove();
        Commit();
        Assert.Equal(3, _ledger.Unpinned);

        entries[^1].Add(Counted.Sent(2, 0));
        Commit();

        Assert.Equal(1, _ledger.Unpinned);
        Assert.Equal(Rows, Reopened().Count(record => record.Packets > 0));
        Assert.Contains(7, Reopened().Select(record => record.Packets));
        entries.Skip(2).ToList().ForEach(entry => entry.Add(Counted.Sent(1, 0)));
        Commit();
        Assert.All(entries[2..^1], entry => Assert.Equal(6, Packets(entry.Committed)));
        Assert.Equal(8, Packets(entries[^1].Committed));
    }

    [Fact]
    public void What_has_no_place_and_is_removed_is_not_told_of_any_more()
    {
        _memory.Room = FirstSegments;
        var entries = Enumerable.Range(0, Records).Select(i => Open(BitConverter.GetBytes(i))).ToList();
        Commit();

        entries.FindAll(entry => !entry.HasPlace).ForEach(entry => entry.Remove());
        Commit();

        Assert.Equal(0, _ledger.Unpinned);
    }

    [Fact]
    public void A_ledger_that_has_grown_is_used_again_where_it_is_free()
    {
        Fill(300);
        Restart();
        foreach (var entry in _ledger.FindRestored(RecordKind.Group))
        {
            Open(entry.Key).Remove();
        }
        Commit();
        Fill(300);
        Restart();
        Fill(50, first: 300);

        Assert.Equal(FirstSegments + 3, _memory.Segments);
        Assert.Equal(Enumerable.Range(0, 350), Reopened().Select(record => record.Packets));
    }

    [Fact]
    public void What_is_opened_now_is_there_at_once_and_commits_nothing_else()
    {
        var shown = new Shown();
        var one = Open(One, shown);
        one.Add(Counted.Sent(1, 0));
        Commit();
        one.Add(Counted.Sent(3, 0));
        var two = Open(Two);
        two.Remove();

        _ledger.OpenNow(RecordKind.Interface, [9]);

        Assert.Equal([("1", 1)], Reopened());
        Assert.Equal([9], Assert.Single(Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Interface)).Key);
        Assert.Equal((1, 1), (shown.Packets, Packets(one.Committed)));
        Commit();
        Assert.Equal([("1", 4)], Reopened());
        Assert.Equal(4, shown.Packets);
    }

    [Fact]
    public void What_was_opened_now_can_be_removed()
    {
        _ledger.OpenNow(RecordKind.Interface, [9]).Remove();
        Assert.Single(Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Interface));

        Commit();

        Assert.Empty(Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Interface));
    }

    [Fact]
    public void Of_each_pair_the_map_that_was_committed_last_is_kept()
    {
        Commit(new(10, 11));
        Assert.Equal([11], Kept(11, 12, 21));
        Commit(new(20, 21));
        Assert.Equal([11, 21], Kept(11, 12, 21));
        Commit(new(10, 12));
        Assert.Equal([12, 21], Kept(11, 12, 21));
        Open(One).Add(Counted.Sent(1, 0));
        Commit();
        Assert.Equal([12, 21], Kept(11, 12, 21));
    }

    [Fact]
    public void A_map_is_kept_with_the_additions_of_its_commit()
    {
        Open(One).Add(Counted.Sent(1, 0));
        Assert.False(_ledger.IsCommitted(11));

        Commit(new(10, 11));

        Assert.Equal([("1", 1)], Reopened());
        Assert.Equal([11], Kept(11));
    }

    [Fact]
    public void Pairs_that_are_not_there_any_more_are_forgotten()
    {
        for (var i = 1; i <= 8; i++)
        {
            Commit(new(i * 10, (i * 10) + 1));
        }

        _ledger.ForgetOthers([20, 80]);

        Assert.Equal([21, 81], Kept(11, 21, 31, 41, 51, 61, 71, 81));
    }

    [Fact]
    public void There_is_room_for_new_pairs_however_many_came_before()
    {
        for (var i = 1; i <= 100; i++)
        {
            Commit(new(i * 10, (i * 10) + 1));
            Commit(new(i * 10, (i * 10) + 2));
            _ledger.ForgetOthers([i * 10, (i - 1) * 10]);
        }

        Assert.Equal([992, 1002], Kept([.. Enumerable.Range(1, 1010)]));
    }

    [Fact]
    public void Forgetting_pairs_commits_nothing_else()
    {
        var one = Open(One);
        one.Add(Counted.Sent(1, 0));
        Commit(new(10, 11));
        one.Add(Counted.Sent(3, 0));

        _ledger.ForgetOthers([]);
        Assert.Equal([("1", 1)], Reopened());

        Commit();
        Assert.Equal([("1", 4)], Reopened());
    }

    [Fact]
    public void A_former_process_s_record_is_given_back_by_its_key_with_its_counts()
    {
        Open(One).Add(Counted.Sent(3, 0));
        Open(Two).Add(Counted.Both(Counted.Sent(7, 0), Counted.Delivered(1, 0)));
        Commit();

        Restart();
        var shown = new Shown();
        var two = Open(Two, shown);
        Assert.Equal((8, 1), (shown.Packets, shown.Restorations));
        two.Add(Counted.Sent(2, 0));
        Commit();

        Assert.Equal((10, 1), (shown.Packets, shown.Restorations));
        Assert.Equal([("1", 3), ("2", 10)], Reopened());
    }

    [Fact]
    public void What_nobody_asks_for_is_found_stays_and_is_not_shown()
    {
        Open(One).Add(Counted.Sent(3, 0));
        _ledger.Open(RecordKind.Held, One, null).Add(Counted.Sent(5, 0));
        Open(Two).Add(Counted.Sent(7, 0));
        Commit();

        Restart();
        Open(Two);
        Commit();

        var found = Assert.Single(_ledger.FindRestored(RecordKind.Group));
        Assert.Equal(One, found.Key);
        Assert.Equal(3, Packets(found.Committed));
        Assert.Equal(5, Packets(Assert.Single(_ledger.FindRestored(RecordKind.Held)).Committed));
        Assert.Empty(_ledger.FindRestored(RecordKind.Interface));
        Assert.Equal([("1", 3), ("2", 7)], Reopened());
    }

    [Fact]
    public void A_record_of_another_kind_is_another_record()
    {
        Open(One).Add(Counted.Sent(3, 0));
        Commit();

        Restart();
        var held = _ledger.Open(RecordKind.Held, One, null);

        Assert.Equal(0, Packets(held.Committed));
        Assert.Single(_ledger.FindRestored(RecordKind.Group));
    }

    [Fact]
    public void What_is_restored_is_given_back_once()
    {
        Open(One).Add(Counted.Sent(3, 0));
        Commit();
        Restart();
        Open(One).Remove();
        Commit();

        var shown = new Shown();
        Open(One, shown);
        Commit();

        Assert.Equal((0, 0), (shown.Packets, shown.Restorations));
        Assert.Equal([("1", 0)], Reopened());
    }

    /// <summary>A process may be killed when some of a commit is stored. What the next one commits must not put that in force.</summary>
    [Fact]
    public void What_a_killed_process_had_stored_never_comes_in_force()
    {
        var (one, two) = (Open(One), Open(Two));
        one.Add(Counted.Sent(3, 0));
        two.Add(Counted.Sent(4, 0));
        Commit(new(10, 11));
        var before = _memory.Copy();
        one.Add(Counted.Sent(100, 0));
        two.Remove();
        Open([3]).Add(Counted.Sent(200, 0));
        Commit(new(10, 12));
        var torn = before.Tear(_memory, () => true);

        _ledger = Ledger.OpenIn(torn);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal([("1", 3), ("2", 4)], Reopened(torn));
            Assert.Equal((true, false), (_ledger.IsCommitted(11), _ledger.IsCommitted(12)));
            _ledger.OpenNow(RecordKind.Interface, [(byte)i]);
        }
    }

    [Theory]
    [InlineData("reordered")]
    [InlineData("with counters between that are not known")]
    [InlineData("with fewer counters")]
    [InlineData("of before half-open handshakes had a counter")]
    public void A_ledger_of_another_version_is_taken_over_by_the_names_of_its_counters(string difference)
    {
        RowFields[] other = [.. EverySignal.Rows.Select(signal => new RowFields(signal.Name, difference switch
        {
            "reordered" => [.. signal.Names.Reverse()],
            "with fewer counters" => [.. signal.Names.Where(name => !name.EndsWith("resent", StringComparison.Ordinal))],
            "of before half-open handshakes had a counter" => [.. signal.Names.Where(name => !name.EndsWith("halfopen", StringComparison.Ordinal))],
            _ => [.. signal.Names.SelectMany(name => (string[])[$"{name}.new", name]).Take(160)],
        }))];
        var counts = Counted.Sent(3, 300);
        Fill(200);
        var one = Open(One);
        one.Add(counts);
        one.Add(Counted.Handshakes(Counted.Resent(5)));
        Commit(new(10, 11));
        Commit(new(20, 21));
        var had = Restored();
        _memory = _memory.As(other);

        _ledger = Ledger.OpenIn(_memory);

        Assert.Equal((difference, Ledger.Layout.Text), (difference, Assert.Single(_memory.Layouts).Text));
        Assert.Equal([11, 21], Kept(11, 12, 21, 22));
        var shared = EverySignal.Rows.SelectMany(signal => signal.Names.Select(other.Single(fields => fields.Name == signal.Name).Names.Contains)).ToArray();
        var expected = had.Select(record => (record.Key, Words: string.Join(' ', record.Words.Split(' ').Zip(shared, (word, isShared) => isShared ? word : "0")))).ToList();
        Assert.Equal(expected, Restored());
        Assert.Equal(201, expected.Count);
    }

    [Fact]
    public void What_is_taken_over_from_another_version_is_given_back_by_key_and_goes_on()
    {
        Open(One).Add(Counted.Sent(3, 300));
        Commit();
        _memory = _memory.As(Reversed);
        Restart();

        var shown = new Shown();
        Open(One, shown).Add(Counted.Sent(4, 0));
        Commit();

        Assert.Equal((7, 1), (shown.Packets, shown.Restorations));
        Assert.Equal([("1", 7)], Reopened());
    }

    /// <summary>A version that is rolled back to.</summary>
    [Fact]
    public void A_ledger_of_a_later_version_whose_keys_are_not_known_stays_as_it_is_beside_one_that_starts_from_zero()
    {
        Open(One).Add(Counted.Sent(3, 300));
        Commit(new(10, 11));
        var later = _memory.OfFormat("keys=4");
        _memory = later.Copy();
        Restart();

        Assert.True(_ledger.StartsBesideLater);
        Assert.Empty(Reopened());
        Assert.Empty(Kept(11));
        Open(One).Add(Counted.Sent(1, 0));
        Commit();

        Assert.Equal([("1", 1)], Reopened());
        Assert.Equal(["keys=3", "keys=4"], _memory.Layouts.Select(layout => layout.Settings).Order());
        Restart();
        Assert.False(_ledger.StartsBesideLater, "It continues from its own ledger");
        Assert.False(Ledger.OpenIn(new KeptMemory()).StartsBesideLater);
    }

    /// <summary>The process is killed when it has taken over all and the former ledger is still there.</summary>
    [Fact]
    public void A_ledger_of_another_version_is_taken_over_once()
    {
        Open(One).Add(Counted.Sent(3, 300));
        Commit();
        var former = _memory.As(Reversed);
        _memory = former.Copy();
        Restart();
        Open(One).Add(Counted.Sent(1, 0));
        Commit();

        _memory = _memory.With(former);
        Restart();

        Assert.Equal([("1", 4)], Reopened());
        Assert.Single(_memory.Layouts);
    }

    /// <summary>The process is killed on the way to the commit that takes all over.</summary>
    [Fact]
    public void A_ledger_of_another_version_is_taken_over_again_where_that_did_not_come_to_its_end()
    {
        Open(One).Add(Counted.Sent(3, 300));
        Commit();
        var former = _memory.As(Reversed);
        var after = former.Copy();
        Ledger.OpenIn(after);
        _memory = former.Tear(after, () => true);
        Assert.Equal(2, _memory.Layouts.Count);

        Restart();

        Assert.Equal([("1", 3)], Reopened());
        Assert.Single(_memory.Layouts);
    }

    private static RowFields[] Reversed => [.. EverySignal.Rows.Select(signal => new RowFields(signal.Name, [.. signal.Names.Reverse()]))];

    private LedgerEntry Open(byte[] key, ILedgerView? view = null) => _ledger.Open(RecordKind.Group, key, view);

    private void Commit(CommittedMap? kept = null)
    {
        lock (_ledger.Lock)
        {
            _ledger.Commit(kept is { } map ? [map] : []);
        }
    }

    private void Restart() => _ledger = Ledger.OpenIn(_memory);

    /// <summary>Records whose numbers are what they count.</summary>
    private Shown[] Fill(int records, int first = 0)
    {
        var shown = Enumerable.Range(first, records).Select(_ => new Shown()).ToArray();
        for (var i = 0; i < records; i++)
        {
            Open(BitConverter.GetBytes(first + i), shown[i]).Add(Counted.Sent((ulong)(first + i), 0));
        }
        Commit();
        return shown;
    }

    private int[] Kept(params int[] maps)
    {
        var now = maps.Where(_ledger.IsCommitted).ToArray();
        var next = Ledger.OpenIn(_memory.Copy());
        Assert.Equal(now, maps.Where(next.IsCommitted));
        return now;
    }

    /// <summary>The groups as the next process would find them.</summary>
    private (string Key, int Packets)[] Reopened(KeptMemory? memory = null) =>
    [
        .. Ledger.OpenIn((memory ?? _memory).Copy()).FindRestored(RecordKind.Group)
            .Select(entry => (string.Concat(entry.Key.Reverse().SkipWhile(part => part == 0).Select(part => part.ToString(CultureInfo.InvariantCulture))), Packets(entry.Committed)))
            .OrderBy(record => record.Item2),
    ];

    private (string Key, string Words)[] Restored() =>
    [
        .. Ledger.OpenIn(_memory.Copy()).FindRestored(RecordKind.Group)
            .Select(entry => (Convert.ToHexString(entry.Key), string.Join(' ', entry.Committed.Words)))
            .OrderBy(record => record.Item1),
    ];

    private static int Packets(in LedgerCounts counts) => (int)(counts.Traffic.Transmit.Total.Packets + counts.Traffic.Receive.Total.Packets);

    private sealed class Shown : ILedgerView
    {
        internal int Packets { get; private set; }

        internal int Retransmits { get; private set; }

        internal int Restorations { get; private set; }

        public void Show(RowFields fields, ReadOnlySpan<ulong> row)
        {
            if (fields == TrafficValue.Fields)
            {
                Packets += LedgerTests.Packets(new() { Traffic = RowFields.ValueOf<TrafficValue>(row) });
            }
            else
            {
                Retransmits += (int)RowFields.ValueOf<HandshakeValue>(row).Client.Retransmits;
            }
        }

        public void Restore(RowFields fields, ReadOnlySpan<ulong> row)
        {
            Restorations++;
            Show(fields, row);
        }
    }
}
