using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>How fields of a signal's rows are shown: the sample lines of one family with one set of values of the family's own labels.</summary>
/// <param name="family">The family whose lines they are.</param>
/// <param name="labels">Values of the family's own labels, in their order.</param>
internal abstract class Column(MetricDefinition family, IReadOnlyList<string> labels)
{
    internal MetricDefinition Family => family;

    internal IReadOnlyList<string> Labels => labels;

    /// <summary>How many sample lines it has.</summary>
    internal abstract int Lines { get; }

    /// <summary>The numbers of the fields that it shows.</summary>
    internal abstract IEnumerable<int> Fields { get; }

    /// <summary>Makes a row that another version or other options have counted fit these columns, without changing any count or sum.</summary>
    internal virtual void Fit(Span<ulong> row)
    {
    }
}
