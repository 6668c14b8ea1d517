using Exporter.Bpf;
using Exporter.Metrics;

namespace Exporter.Accounts;

/// <summary>How a signal's rows are added up where they have no series of their own.</summary>
/// <param name="Blocks">The names of all kinds of blocks that the signal can have.</param>
/// <param name="Unattributed">Which rows no pod gets, as the end of a sentence.</param>
/// <param name="Details">Details about the unattributed rows, for the documentation.</param>
internal sealed record SignalTotals(RowFields Fields, IReadOnlyList<TotalUnit> Units, IReadOnlyList<string> Blocks, string Unattributed, string? Details = null);

/// <summary>One family of each total.</summary>
/// <param name="Name">The counted things, as the families' names have them.</param>
/// <param name="Help">The help text, with {0} for the kind of counts, and {1} for the name of the total.</param>
/// <param name="Label">The label of the family, which has a series for each of its values.</param>
/// <param name="IsByLabel">Whether the example asks for each value.</param>
/// <param name="FieldsOf">The numbers of the fields whose sum a value's series is.</param>
internal sealed record TotalUnit(string Name, string Help, MetricLabel Label, bool IsByLabel, Func<string, int[]> FieldsOf)
{
    /// <summary>Whether only the total of removed series has it: nothing else can be without a series.</summary>
    internal bool IsOfRetiredOnly { get; init; }
}
