using System.Text;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>One total of counts, beside the pods' series. It continues after a restart.</summary>
internal sealed class Totals : IPodAccount
{
    private readonly LedgerEntry _entry;

    internal Totals(TotalDefinition definition, IReadOnlyList<SignalTotals> signals, Ledger ledger)
    {
        // The name of its record is the same in every version.
        _entry = ledger.Open(RecordKind.Total, Encoding.UTF8.GetBytes($"podnet_exporter_{definition.Name}_packets_total"), null);
        Shown = [.. from signal in signals from unit in definition.UnitsOf(signal) select Show(definition, signal, unit)];
    }

    /// <summary>The families, each of one signal and unit.</summary>
    internal IReadOnlyList<AccountTotal> Shown { get; }

    public IReadOnlyList<string> FindFolded() => [];

    /// <summary>The families of a total.</summary>
    internal static IEnumerable<MetricDefinition> FamiliesOf(TotalDefinition definition, IReadOnlyList<SignalTotals> signals) =>
        signals.SelectMany(signal => definition.UnitsOf(signal).Select(unit => FamilyOf(definition, signal, unit)));

    /// <summary>Adds a row with the next commit. Called with the ledger's lock.</summary>
    public void Add(RowFields fields, ReadOnlySpan<ulong> row) => _entry.Add(fields, row);

    /// <summary>Adds the signal's row of a record.</summary>
    internal void Add(LedgerEntry entry, RowFields fields)
    {
        Span<ulong> row = stackalloc ulong[fields.Count];
        entry.ReadTotal(fields, row);
        _entry.Add(fields, row);
    }

    private static MetricDefinition FamilyOf(TotalDefinition definition, SignalTotals signal, TotalUnit unit)
    {
        var name = $"podnet_exporter_{definition.Name}_{unit.Name}_total";
        var by = unit.IsByLabel ? $"instance, {unit.Label.Name}" : "instance";
        return new(MetricType.Counter, name, unit.Name, string.Format(null, unit.Help, definition.Which ?? signal.Unattributed, definition.Name), unit.Label)
        {
            Query = $"sum by ({by}) (rate({name}[5m]))",
            Details = unit == signal.Units[0] ? definition.Details ?? (definition.Which is null ? signal.Details : null) : null,
        };
    }

    private AccountTotal Show(TotalDefinition definition, SignalTotals signal, TotalUnit unit) => new(
        FamilyOf(definition, signal, unit), [.. unit.Label.Values.Select(value => Sample(signal.Fields, value, unit.FieldsOf(value)))]);

    private (IReadOnlyList<string> Labels, Func<ulong> Read) Sample(RowFields fields, string value, int[] summed) =>
        ([value], () => _entry.ReadCommitted(fields) is { IsEmpty: false } row ? RowFields.Sum(row, summed) : 0);
}
