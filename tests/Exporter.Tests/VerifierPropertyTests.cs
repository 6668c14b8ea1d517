using System.Text;
using CsCheck;
using Exporter.Tests.Support;
using Exporter.Verification;
using static Exporter.Tests.Support.FlowLines;

namespace Exporter.Tests;

/// <summary>Whatever traffic there was: each missing record is found, and no repeat is an error.</summary>
public sealed class VerifierPropertyTests
{
    private static readonly Gen<FlowCounts> Records =
        from transmit in Gen.Long[0, 1 << 40]
        from receive in Gen.Long[0, 1 << 40]
        from pod in Gen.Int[0, 3]
        from isSource in Gen.Bool
        from reason in OneOf(null, null, "map_full", "merged")
        select new FlowCounts(transmit, receive, $"web-{pod}", isSource, reason);

    private static readonly Gen<List<string>> Files = FilesOf(least: 0);

    [Fact]
    public void A_file_is_right_in_any_order_of_its_lines() => Files.Sample(lines => Assert.Empty(Problems(lines)), iter: 200);

    /// <summary>A last interval without its closing record may be one that is still written, so it is a note.</summary>
    [Fact]
    public void Any_removed_record_is_found() =>
        (from lines in FilesOf(least: 1) from index in Gen.Int[0, 999] select (lines, index)).Sample(
            drawn =>
            {
                var removed = drawn.lines[drawn.index % drawn.lines.Count];
                var isLast = LastClosing("node-0", drawn.lines) == removed || LastClosing("node-1", drawn.lines) == removed;
                drawn.lines.Remove(removed);

                var result = Verify(drawn.lines);

                Assert.Equal(isLast, result.IsRight);
                Assert.Equal(isLast ? 1 : 0, result.Notes.Count);
            },
            iter: 500);

    [Fact]
    public void Any_repeated_records_are_counted_once() =>
        (from lines in Files from indexes in Gen.Int[0, 999].Array[1, 20] from places in Gen.Int[0, 999].Array[20] select (lines, indexes, places)).Sample(
            drawn =>
            {
                var once = Verify(drawn.lines);
                List<string> repeated = [.. drawn.lines];
                foreach (var (index, place) in drawn.indexes.Zip(drawn.places))
                {
                    repeated.Insert(place % repeated.Count, drawn.lines[index % drawn.lines.Count]);
                }

                var result = Verify(repeated);

                Assert.Empty(VerifierTests.Problems(result));
                Assert.Equal(drawn.indexes.Length, result.Totals.Repeats);
                Assert.Equal(Totals(once), Totals(result));
            },
            iter: 200);

    /// <summary>No input ends the verification: lines are records, cut or bad.</summary>
    [Fact]
    public void Any_changed_bytes_are_a_record_or_have_a_reason()
    {
        var lines = VerifierTests.Three().Identity("10.0.0.14", "web-0").Lines.Select(Encoding.UTF8.GetBytes).ToArray();
        (from line in OneOf(lines) from changes in Gen.Select(Gen.Int[0, 9999], Gen.OneOf(Gen.Byte, OneOf("\"\\u{}[],:0-.e"u8.ToArray()))).Array[1, 4] select (line, changes)).Sample(
            drawn =>
            {
                byte[] changed = [.. drawn.line];
                foreach (var (index, value) in drawn.changes)
                {
                    changed[index % changed.Length] = value;
                }
                var reader = new RecordReader(RecordFields.All);

                var outcome = reader.Read(changed);

                Assert.Equal(outcome == LineOutcome.Bad, reader.Reason.Length > 0 && outcome != LineOutcome.Cut);
            },
            iter: 20_000);
    }

    private static string LastClosing(string node, List<string> lines) =>
        lines.Where(line => line.Contains("podnet.interval", StringComparison.Ordinal) && line.Contains(node, StringComparison.Ordinal)).Max(StringComparer.Ordinal)!;

    /// <summary>Files of two nodes, each with some intervals, whose lines are mixed.</summary>
    /// <param name="least">The least number of records of an interval.</param>
    private static Gen<List<string>> FilesOf(int least) =>
        from one in Records.Array[least, 20].Array[1, 5]
        from other in Records.Array[least, 20].Array[1, 5]
        from seed in Gen.Int
        select Mix([.. Write(new("node-0", "k3"), one), .. Write(new("node-1", "q8"), other)], seed);

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);

    private static List<string> Write(FlowLines lines, FlowCounts[][] intervals)
    {
        foreach (var interval in intervals)
        {
            lines.Interval(interval);
        }
        return lines.Lines;
    }

    private static List<string> Mix(List<string> lines, int seed)
    {
        var mixed = lines.ToArray();
        new Random(seed).Shuffle(mixed);
        return [.. mixed];
    }

    private static IEnumerable<string> Problems(List<string> lines) => VerifierTests.Problems(Verify(lines));

    private static VerificationResult Verify(List<string> lines) => VerifierTests.VerifyAsync(string.Join('\n', lines)).GetAwaiter().GetResult();

    private static List<(string?, PodCounts)> Totals(VerificationResult result) => [.. result.Sums.Select(row => (row.Key.Pod, row.Value.Total)).Order(Comparer<(string? Pod, PodCounts Counts)>.Create((x, y) => (x.Pod, x.Counts.TransmitBytes, x.Counts.ReceiveBytes).CompareTo((y.Pod, y.Counts.TransmitBytes, y.Counts.ReceiveBytes))))];
}
