using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>A field that is a counter.</summary>
/// <param name="number">Its number in the row.</param>
/// <param name="presence">The number of the field that is greater than zero once the line is shown.</param>
internal sealed class CounterColumn(MetricDefinition family, int number, int presence, params IReadOnlyList<string> labels) : Column(family, labels)
{
    /// <summary>The number of the field in the row.</summary>
    internal int Field => number;

    internal override int Lines => 1;

    internal override bool IsShown(ReadOnlySpan<ulong> row) => row[presence] > 0;
}
