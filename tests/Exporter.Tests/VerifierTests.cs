using System.Text;
using Exporter.Tests.Support;
using Exporter.Verification;
using static Exporter.Tests.Support.FlowLines;

namespace Exporter.Tests;

/// <summary>Files of records in which nothing is wrong, or one thing.</summary>
public sealed class VerifierTests
{
    private static readonly FlowCounts[] Usual = [new(4600, 59081), new(300, 200, "web-1", IsSource: false), new(120_034, 0, Reason: "map_full")];

    [Fact]
    public async Task A_whole_file_is_right()
    {
        var result = await VerifyAsync(Three().Identity("10.0.0.14", "web-0"));

        Assert.Empty(Problems(result));
        Assert.Empty(result.Notes.Texts);
        Assert.Equal(new(13, 6, 3, 3, 1, 0, 0) { Nodes = 1 }, result.Totals);
    }

    [Fact]
    public async Task Sums_are_as_the_pod_of_the_interface_sees_them()
    {
        var result = await VerifyAsync(new FlowLines().Interval(
            new(10, 20), new(300, 4000, IsSource: false), new(50_000, 0, Reason: "merged"), new(0, 600_000, IsSource: false, Reason: "merged"), new(7, 0, Reason: "map_full"), new(1, 2, "web-1")));

        var sums = Assert.Single(result.Sums, row => row.Key.Pod == "web-0");
        Assert.Equal(new("node-0", "shop", "web-0", "veth-web-0", "k3-web-0"), sums.Key);
        Assert.Equal(new(310, 4, 4020, 41), sums.Value.Flows);
        Assert.Equal(new(50_000, 500, 600_000, 6000), sums.Value.Rest["merged"]);
        Assert.Equal(new(7, 1, 0, 0), sums.Value.Rest["map_full"]);
        Assert.Equal(new(50_317, 505, 604_020, 6041), sums.Value.Total);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public async Task A_missing_record_is_named_by_its_interval(int line)
    {
        var lines = Three();
        lines.Lines.RemoveAt(line);

        var result = await VerifyAsync(lines);

        Assert.Equal([$"1 record is missing in interval {31 + (line / 4)} of node-0 (epoch k3)"], Problems(result));
    }

    [Fact]
    public async Task Missing_records_that_are_counted_as_lost_are_a_note()
    {
        var lines = new FlowLines().Interval(Usual);
        lines.Lost = 2;
        lines.Interval(Usual).Lines.RemoveRange(0, 2);

        var result = await VerifyAsync(lines);

        Assert.Empty(Problems(result));
        Assert.Equal(["2 records are missing in interval 31 of node-0 (epoch k3); counted as lost"], result.Notes.Texts);
        Assert.Equal(2ul, result.Totals.Lost);
    }

    [Fact]
    public async Task More_missing_records_than_lost_ones_are_a_problem()
    {
        var lines = new FlowLines().Interval(Usual);
        lines.Lost = 2;
        lines.Interval(Usual).Lines.RemoveRange(0, 3);

        var result = await VerifyAsync(lines);

        Assert.Equal(["3 records are missing in interval 31 of node-0 (epoch k3); 2 are counted as lost, 3 are missing"], Problems(result));
    }

    /// <summary>A file that begins in the middle of an epoch has the losses from before in its counts.</summary>
    [Fact]
    public async Task Losses_before_the_first_interval_do_not_excuse_later_ones()
    {
        var lines = new FlowLines().Interval(Usual).Interval(Usual);
        lines.Lost = 3;
        lines.Interval(Usual).Interval(Usual).Lines.RemoveRange(0, 8);
        lines.Lines.RemoveAt(5);

        var result = await VerifyAsync(lines);

        Assert.StartsWith("1 record is missing in interval 34", Assert.Single(Problems(result)), StringComparison.Ordinal);
    }

    /// <summary>Rotation removes the oldest file.</summary>
    [Theory]
    [InlineData(5, true)]
    [InlineData(6, true)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    public async Task Files_that_begin_within_an_interval_lack_its_first_records(int removed, bool isRight)
    {
        var lines = Three();
        lines.Lines.RemoveRange(0, removed);

        var result = await VerifyAsync(lines);

        Assert.Equal(isRight, result.IsRight);
        if (isRight)
        {
            Assert.Equal([$"the files begin within interval 32 of node-0 (epoch k3): they do not have its first {removed - 4} records"], result.Notes.Texts);
        }
    }

    [Fact]
    public async Task A_record_within_the_first_interval_of_later_files_is_missing()
    {
        var lines = Three();
        lines.Lines.RemoveAt(5);
        lines.Lines.RemoveRange(0, 4);

        Assert.Equal(["1 record is missing in interval 32 of node-0 (epoch k3)"], Problems(await VerifyAsync(lines)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_repeated_record_is_counted_once(int line)
    {
        var lines = Three();
        var once = await VerifyAsync(lines);
        lines.Lines.Add(lines.Lines[line]);

        var result = await VerifyAsync(lines);

        Assert.Empty(Problems(result));
        Assert.Equal(1, result.Totals.Repeats);
        Assert.Equal(once.Sums.Select(row => row.Value.Total), result.Sums.Select(row => row.Value.Total));
    }

    [Theory]
    [InlineData("\"bytes\":4600", "\"bytes\":4601")]
    [InlineData("\"packets\":46", "\"packets\":47")]
    [InlineData("10:05:10.137", "10:05:11.137")]
    public async Task A_repeated_id_with_another_time_or_other_counts_is_a_problem(string written, string changed)
    {
        var lines = new FlowLines().Interval(Usual);
        lines.Lines.Add(lines.Lines[0].Replace(written, changed, StringComparison.Ordinal));

        var result = await VerifyAsync(lines);

        Assert.Contains("file:5 has the id of another record, but another time or other counts", Problems(result));
    }

    [Fact]
    public async Task A_repeat_with_the_ends_exchanged_is_a_repeat()
    {
        var lines = new FlowLines().Interval(new FlowCounts(4600, 59081));
        lines.Lines.Add(new FlowLines().Interval(new FlowCounts(4600, 59081, IsSource: false)).Lines[0]);

        var result = await VerifyAsync(lines);

        Assert.Empty(Problems(result));
        Assert.Equal(1, result.Totals.Repeats);
    }

    [Fact]
    public async Task An_id_in_two_intervals_is_a_problem()
    {
        var lines = Three();
        lines.Lines[4] = lines.Lines[4].Replace("\"k3-32-0\"", "\"k3-31-0\"", StringComparison.Ordinal);

        Assert.Equal(["1 id is in two intervals"], Problems(await VerifyAsync(lines)));
    }

    [Fact]
    public async Task A_cut_last_line_is_a_note_and_its_interval_open()
    {
        var lines = Three();

        var result = await VerifyAsync(lines.Text[..^100]);

        Assert.Empty(Problems(result));
        Assert.Equal(["file:12 is cut off: its record is not counted", "interval 33 of node-0 (epoch k3) is open: 3 records came, and no closing record yet"], result.Notes.Texts);
    }

    [Fact]
    public async Task A_last_line_without_its_end_is_a_record() => Assert.Empty(Problems(await VerifyAsync(Three().Text.TrimEnd('\n'))));

    [Fact]
    public async Task A_record_that_was_cut_within_the_file_is_missing_unless_it_is_written_again()
    {
        var lines = Three();
        var (whole, cut) = (lines.Lines[1], lines.Lines[1][..200]);
        lines.Lines[1] = cut;

        Assert.Equal(["1 record is missing in interval 31 of node-0 (epoch k3)"], Problems(await VerifyAsync(lines)));

        lines.Lines.Insert(2, whole);
        Assert.Empty(Problems(await VerifyAsync(lines)));
    }

    [Theory]
    [InlineData("\"podnet.flow\"", "\"podnet.flaw\"", "event.dataset is 'podnet.flaw', which is not a dataset of schema 1")]
    [InlineData("\"port\":45717", "\"port\":null", "port is null; an absent value has no field")]
    [InlineData("\"bytes\":4600", "\"bytes\":null", "source.bytes is null; an absent value has no field")]
    [InlineData("\"bytes\":4600", "\"bytes\":-1", "source.bytes is not a whole number of at least 0")]
    [InlineData("\"bytes\":4600", "\"bytes\":1.5", "source.bytes is not a whole number of at least 0")]
    [InlineData("\"bytes\":4600", "\"bytes\":\"4600\"", "source.bytes is not a whole number of at least 0")]
    [InlineData("\"bytes\":4600,", "", "has no source.bytes")]
    [InlineData("\"dataset\":\"podnet.flow\",", "", "has no event.dataset")]
    [InlineData("\"id\":\"k3-31-0\",", "", "has no event.id")]
    [InlineData("\"epoch\":\"k3\"", "\"epoch\":{}", "observer.epoch is not a text")]
    [InlineData("2026-11-28T10:05:10.137Z", "yesterday", "@timestamp is not a time of RFC 3339")]
    [InlineData("\"observer\":\"source\"", "\"observer\":\"both\"", "flow.observer is 'both', not source or destination")]
    [InlineData("\"sequence\":0", "\"sequence\":4294967296", "observer.sequence is 4294967296, and at most 67108864 can be")]
    [InlineData("\"schema\":1", "\"schema\":2", "podnet.schema is 2, and this version reads 1; verify with the version that wrote it")]
    [InlineData("{\"@timestamp\"", "[\"@timestamp\"", "is not a JSON object")]
    [InlineData("\"source\":{", "\"source\":{]", "is not JSON at column 272")]
    [InlineData("{\"@timestamp\"", "{\"\\ud800\":1,\"@timestamp\"", "is not JSON at column 2")]
    [InlineData("\"event\":{", "\"event\":{\"\\udc00\":[],", "is not JSON at column 51")]
    [InlineData("\"id\":\"k3-31-0\"", "\"id\":\"\\ud83dx\"", "is not JSON at column 56")]
    public async Task A_bad_line_is_named_with_the_reason(string written, string changed, string reason)
    {
        var lines = new FlowLines().Interval(Usual);
        lines.Lines[0] = lines.Lines[0].Replace(written, changed, StringComparison.Ordinal);

        var result = await VerifyAsync(lines);

        Assert.Equal([$"file:1 {reason}", "1 record is missing in interval 31 of node-0 (epoch k3)"], Problems(result));
        Assert.Equal(1, result.Totals.BadLines);
    }

    [Fact]
    public async Task The_first_ten_bad_lines_are_named_and_all_are_counted()
    {
        var result = await VerifyAsync(string.Concat(Enumerable.Repeat("no JSON\n", 25)));

        Assert.Equal(Verifier.MaxBadLines, Problems(result).Count());
        Assert.Equal(25, result.Totals.BadLines);
    }

    [Fact]
    public async Task A_line_that_is_too_long_is_bad_and_the_next_is_read()
    {
        var result = await VerifyAsync(new string('x', 3 << 20) + "\n" + Three().Text);

        Assert.Equal(["file:1 is longer than 1048576 bytes"], Problems(result));
        Assert.Equal(3, result.Totals.Intervals);
    }

    [Fact]
    public async Task Fields_that_are_not_known_and_empty_lines_are_fine()
    {
        var lines = Three();
        lines.Lines[0] = lines.Lines[0].Replace("\"source\":{", "\"more\":{\"deep\":[1,{\"x\":\"y\"}]},\"source\":{\"mac\":\"02:00\",", StringComparison.Ordinal);
        lines.Lines.Insert(1, "");

        Assert.Empty(Problems(await VerifyAsync(lines)));
    }

    [Fact]
    public async Task An_escaped_text_is_the_same_text()
    {
        var lines = Three();
        lines.Lines[0] = lines.Lines[0].Replace("\"web-0\"", "\"web-\\u0030\"", StringComparison.Ordinal).Replace("\"k3-31-0\"", "\"k\\u0033-31-0\"", StringComparison.Ordinal);
        lines.Lines.Add(Three().Lines[0]);

        var result = await VerifyAsync(lines);

        Assert.Empty(Problems(result));
        Assert.Equal((1, 2), (result.Totals.Repeats, result.Sums.Count));
    }

    [Fact]
    public async Task An_interval_without_its_closing_record_is_a_problem_but_for_the_last()
    {
        var lines = Three();
        lines.Lines.RemoveAt(11);

        var last = await VerifyAsync(lines);
        lines.Lines.RemoveAt(7);
        var middle = await VerifyAsync(lines);

        Assert.Empty(Problems(last));
        Assert.Equal(["interval 33 of node-0 (epoch k3) is open: 3 records came, and no closing record yet"], last.Notes.Texts);
        Assert.Equal(["interval 32 of node-0 (epoch k3) is open: 3 records came, but no closing record"], Problems(middle));
    }

    [Fact]
    public async Task Intervals_that_are_missing_are_counted()
    {
        var lines = new FlowLines().Interval(Usual).Skip(1).Interval(Usual).Skip(3).Interval(Usual);

        Assert.Equal(["1 interval is missing between 31 and 33 of node-0 (epoch k3)", "3 intervals are missing between 33 and 37 of node-0 (epoch k3)"], Problems(await VerifyAsync(lines)));
    }

    [Fact]
    public async Task Missing_intervals_are_a_note_where_losses_are_counted_meanwhile()
    {
        var lines = new FlowLines().Interval(Usual);
        lines.Lost = 1;
        lines.Skip(2).Interval(Usual);

        var result = await VerifyAsync(lines);

        Assert.Empty(Problems(result));
        Assert.Equal(["2 intervals are missing between 31 and 34 of node-0 (epoch k3); lost records are counted meanwhile"], result.Notes.Texts);
    }

    [Theory]
    [InlineData("\"issued\":6", "\"issued\":2", "issued goes back from 3 to 2")]
    [InlineData("\"acknowledged\":3", "\"acknowledged\":0", "acknowledged goes back from 3 to 0")]
    [InlineData("\"lost\":0", "\"lost\":4", "lost goes back from 4 to 0")]
    public async Task Counts_that_go_back_are_a_problem(string written, string changed, string problem)
    {
        var lines = Three();
        var line = problem.StartsWith("lost", StringComparison.Ordinal) ? 3 : problem.StartsWith("ack", StringComparison.Ordinal) ? 11 : 7;
        lines.Lines[line] = lines.Lines[line].Replace(problem.StartsWith("ack", StringComparison.Ordinal) ? "\"acknowledged\":6" : written, changed, StringComparison.Ordinal);

        Assert.Contains(Problems(await VerifyAsync(lines)), text => text.EndsWith(problem, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(2, false)]
    public async Task Acknowledged_records_that_count_as_lost_after_a_kill_are_a_note(int lost, bool isNote)
    {
        var lines = Three();
        lines.Lines[11] = lines.Lines[11]
            .Replace("\"acknowledged\":6", "\"acknowledged\":0", StringComparison.Ordinal)
            .Replace("\"lost\":0", $"\"lost\":{lost}", StringComparison.Ordinal);

        var result = await VerifyAsync(lines);

        Assert.Equal(isNote, result.Notes.Texts.Any(text => text.EndsWith(": 3 records that had arrived count as lost, as after a kill", StringComparison.Ordinal)));
        Assert.Equal(!isNote, Problems(result).Any(text => text.EndsWith("acknowledged goes back from 3 to 0", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task More_acknowledged_and_lost_records_than_issued_ones_are_a_problem()
    {
        var lines = Three();
        lines.Lines[3] = lines.Lines[3].Replace("\"acknowledged\":0", "\"acknowledged\":4", StringComparison.Ordinal);

        Assert.Contains("interval 31 of node-0 (epoch k3): 4 records are acknowledged and 0 lost, but 3 issued", Problems(await VerifyAsync(lines)));
    }

    [Fact]
    public async Task Fewer_issued_records_than_came_are_a_problem()
    {
        var lines = Three();
        lines.Lines[11] = lines.Lines[11].Replace("\"issued\":9", "\"issued\":8", StringComparison.Ordinal);

        Assert.Equal(["interval 33 of node-0 (epoch k3): 9 records are in the intervals up to it, but 8 were issued"], Problems(await VerifyAsync(lines)));
    }

    /// <summary>A repeat of a closing record may have newer numbers than the next interval's first one.</summary>
    [Fact]
    public async Task A_repeated_closing_record_with_newer_counts_is_a_repeat()
    {
        var lines = Three();
        lines.Lines.Add(lines.Lines[3].Replace("\"issued\":3,\"acknowledged\":0", "\"issued\":9,\"acknowledged\":9", StringComparison.Ordinal));

        var result = await VerifyAsync(lines);

        Assert.Empty(Problems(result));
        Assert.Equal(1, result.Totals.Repeats);
    }

    [Theory]
    [InlineData("\"sequence\":3", "\"sequence\":4", "its closing record has the number 4, and counts 3 records before it")]
    [InlineData("\"records\":3", "\"records\":2", "3 records came, but its closing record counts 2")]
    [InlineData("\"records\":3", "\"records\":2", "a record has the number 2, but its closing record counts 2 from 0")]
    [InlineData("10:05:10.137Z\",\"event\"", "10:05:10.138Z\",\"event\"", "its records differ in @timestamp")]
    public async Task A_closing_record_that_does_not_fit_is_a_problem(string written, string changed, string problem)
    {
        var lines = Three();
        lines.Lines[3] = lines.Lines[3].Replace(written, changed, StringComparison.Ordinal);

        Assert.Contains($"interval 31 of node-0 (epoch k3): {problem}", Problems(await VerifyAsync(lines)));
    }

    [Fact]
    public async Task Records_of_two_sinks_are_a_problem()
    {
        var lines = new FlowLines().Interval(Usual);
        lines.Lines.Add(lines.Lines[3].Replace("31-file", "31-kafka", StringComparison.Ordinal));

        Assert.Equal(["interval 31 of node-0 (epoch k3): it has closing records of two sinks; verify the records of one sink at a time"], Problems(await VerifyAsync(lines)));
    }

    [Fact]
    public async Task Two_nodes_in_one_file_are_verified_apart()
    {
        var one = Three();
        var other = new FlowLines("node-1", "q8", first: 7).Interval(Usual).Interval(Usual);
        List<string> mixed = [.. one.Lines.Zip(other.Lines.Concat(Enumerable.Repeat("", 99)), (line, beside) => $"{line}\n{beside}\n")];

        var whole = await VerifyAsync(string.Concat(mixed));
        var lacking = await VerifyAsync(string.Concat(mixed).Replace(other.Lines[5], "", StringComparison.Ordinal));

        Assert.Empty(Problems(whole));
        Assert.Equal((2, 4), (whole.Totals.Nodes, whole.Sums.Count));
        Assert.Equal(["1 record is missing in interval 8 of node-1 (epoch q8)"], Problems(lacking));
    }

    [Fact]
    public async Task A_reboot_begins_again_and_what_was_lost_between_is_said_to_be_unknown()
    {
        var before = Three();
        before.Lines.RemoveAt(11);

        var result = await VerifyAsync(before.Text + new FlowLines("node-0", "m5", first: 1).Interval(Usual).Text);

        Assert.Empty(Problems(result));
        Assert.Contains("node-0 has 2 epochs: records that were lost between them are unknown", result.Notes.Texts);
        Assert.Contains("interval 33 of node-0 (epoch k3) is open: 3 records came, and no closing record yet", result.Notes.Texts);
    }

    [Fact]
    public async Task Rotated_files_can_be_given_in_any_order()
    {
        var lines = Three().Lines;
        var verifier = new Verifier();
        foreach (var part in new[] { lines[9..], lines[..2], lines[2..9] })
        {
            await ReadAsync(verifier, "file", string.Join('\n', part));
        }

        Assert.Empty(Problems(verifier.Finish()));
    }

    /// <summary>Of partitions that begin or end at different times only intervals between all of these have to be whole: here the lines' numbers.</summary>
    [Theory]
    [InlineData("", 0)]
    // Another partition began behind the first interval, within the second, or behind it.
    [InlineData("0 1 3", 1)]
    [InlineData("0 2 4 5", 2)]
    [InlineData("0 1 2 3", 0)]
    [InlineData("4 5 6 7", 1)]
    [InlineData("7", 1)]
    // Another one was asked for its end before the last interval, or within the one before.
    [InlineData("16 19", 1)]
    [InlineData("13 15 18", 2)]
    [InlineData("15 16 17 18", 2)]
    [InlineData("0 5 15 19", 4)]
    public void Intervals_at_the_ends_of_a_topic_may_lack_records(string removed, int cut)
    {
        var result = VerifyTopic(removed);

        Assert.Empty(Problems(result));
        string[] notes = cut == 0 ? [] : [$"{cut} {(cut == 1 ? "interval is" : "intervals are")} not whole at the beginning or the end of the topic: other records of {(cut == 1 ? "it" : "them")} were deleted, or not written yet"];
        Assert.Equal(notes, result.Notes.Texts);
    }

    [Theory]
    [InlineData("8", "1 record is missing in interval 33 of node-0 (epoch k3)")]
    [InlineData("0 11 18", "interval 33 of node-0 (epoch k3) is open: 3 records came, but no closing record")]
    [InlineData("8 9 10 11", "1 interval is missing between 32 and 34 of node-0 (epoch k3)")]
    public void A_record_between_the_ends_of_a_topic_is_missed(string removed, string problem) => Assert.Equal([problem], Problems(VerifyTopic(removed)));

    [Fact]
    public void A_topic_that_has_its_first_records_has_to_have_all_of_its_first_intervals() =>
        Assert.Equal(["1 record is missing in interval 31 of node-0 (epoch k3)"], Problems(VerifyTopic("1", new(long.MinValue, 15))));

    /// <summary>Five intervals of four lines, the last of which closes them; the span has the second one's end and the fourth one's begin.</summary>
    private static VerificationResult VerifyTopic(string removed, WholeSpan? span = null)
    {
        var lines = Three().Interval(Usual).Interval(Usual).Lines;
        var missing = removed.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToHashSet();
        var verifier = new Verifier();
        foreach (var (line, number) in lines.Select((line, number) => (line, number)).Where(line => !missing.Contains(line.number)))
        {
            verifier.Take("topic[0]", number, Encoding.UTF8.GetBytes(line), appended: number);
        }
        return verifier.Finish(span ?? new(5, 14));
    }

    internal static FlowLines Three() => new FlowLines().Interval(Usual).Interval(Usual).Interval(Usual);

    internal static Task<VerificationResult> VerifyAsync(FlowLines lines) => VerifyAsync(lines.Text);

    internal static async Task<VerificationResult> VerifyAsync(string text)
    {
        var verifier = new Verifier();
        await ReadAsync(verifier, "file", text);
        return verifier.Finish();
    }

    internal static IEnumerable<string> Problems(VerificationResult result) => result.Problems.SelectMany(findings => findings.Texts);

    private static async Task ReadAsync(Verifier verifier, string name, string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        await verifier.ReadAsync(name, stream, TestContext.Current.CancellationToken);
    }
}
