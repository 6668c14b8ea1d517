using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>A pair of fields that is a summary without quantiles: the sum of values, and how many there were.</summary>
/// <param name="sum">The number of the sum's field in the row.</param>
/// <param name="count">The number of the count's field in the row.</param>
/// <param name="decimals">The family's unit is this many powers of ten greater than the sum's unit.</param>
internal sealed class SummaryColumn(MetricDefinition family, int sum, int count, int decimals, params IReadOnlyList<string> labels) : Column(family, labels)
{
    internal int Sum => sum;

    internal int Count => count;

    internal int Decimals => decimals;

    /// <summary>A line for the sum and one for the count.</summary>
    internal override int Lines => 2;

    internal override IEnumerable<int> Fields => [sum, count];
}
