using Exporter.Bpf;
using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>Pairs of fields that are a histogram: for each range of values how many there were, and their sum.</summary>
/// <param name="first">The number of the first range's count in the row; its sum follows, and then the next range.</param>
/// <param name="ranges">How many ranges the row has: one for each bound, one above, and some that are not used.</param>
/// <param name="bounds">The upper bounds in the unit of the sums, inclusive, ascending.</param>
/// <param name="decimals">The family's unit is this many powers of ten greater than the sums' unit.</param>
internal sealed class RangesColumn(
    MetricDefinition family, int first, int ranges, IReadOnlyList<ulong> bounds, int decimals, params IReadOnlyList<string> labels) : Column(family, labels)
{
    internal int Decimals => decimals;

    /// <summary>A line for each bucket, for the infinite one, for the sum and for the count.</summary>
    internal override int Lines => bounds.Count + 3;

    internal IReadOnlyList<ulong> Bounds => bounds;

    internal override IEnumerable<int> Fields => Enumerable.Range(first, 2 * ranges);

    /// <summary>How many values there were in a range.</summary>
    internal ulong Count(ReadOnlySpan<ulong> row, int range) => row[first + (2 * range)];

    /// <summary>Their sum.</summary>
    internal ulong Sum(ReadOnlySpan<ulong> row, int range) => row[first + (2 * range) + 1];

    /// <summary>Each range that was counted by other bounds goes where its mean belongs.</summary>
    internal override void Fit(Span<ulong> row) => RowFields.Regroup(row.Slice(first, 2 * ranges), bounds);
}
