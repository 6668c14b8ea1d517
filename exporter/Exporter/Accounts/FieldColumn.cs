using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>A field that is one line: a counter, or a gauge.</summary>
/// <param name="number">Its number in the row.</param>
internal sealed class FieldColumn(MetricDefinition family, int number, params IReadOnlyList<string> labels) : Column(family, labels)
{
    /// <summary>The number of the field in the row.</summary>
    internal int Field => number;

    internal override int Lines => 1;

    internal override IEnumerable<int> Fields => [number];
}
