using System.Text;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.State;
using Prometheus;

namespace Exporter.Accounts;

/// <summary>One total of counts, beside the pods' series. It continues after a restart.</summary>
internal sealed class Totals : IPodAccount, ILedgerView
{
    private readonly LedgerEntry _entry;
    /// <summary>The counters of each signal, with the numbers of the fields that each adds up.</summary>
    private readonly Dictionary<RowFields, (Counter.Child Counter, int[] Fields)[]> _sums;

    internal Totals(IMetricFactory metrics, TotalDefinition definition, IReadOnlyList<SignalTotals> signals, Ledger ledger)
    {
        _sums = signals.ToDictionary(signal => signal.Fields, signal => Create(metrics, definition, signal));
        // The name of its record is the same in every version.
        _entry = ledger.Open(RecordKind.Total, Encoding.UTF8.GetBytes($"podnet_exporter_{definition.Name}_packets_total"), this);
    }

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

    void ILedgerView.Show(RowFields fields, ReadOnlySpan<ulong> row)
    {
        foreach (var (counter, summed) in _sums[fields])
        {
            counter.Inc(RowFields.Sum(row, summed));
        }
    }

    // Not Inc: in a later session of this process the counters show it already.
    void ILedgerView.Restore(RowFields fields, ReadOnlySpan<ulong> row)
    {
        foreach (var (counter, summed) in _sums[fields])
        {
            counter.IncTo(RowFields.Sum(row, summed));
        }
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

    private static (Counter.Child, int[])[] Create(IMetricFactory metrics, TotalDefinition definition, SignalTotals signal)
    {
        var sums = new List<(Counter.Child, int[])>();
        foreach (var unit in definition.UnitsOf(signal))
        {
            var family = FamilyOf(definition, signal, unit).CreateCounter(metrics);
            foreach (var value in unit.Label.Values)
            {
                var counter = family.WithLabels(value);
                counter.Publish();
                sums.Add((counter, unit.FieldsOf(value)));
            }
        }
        return [.. sums];
    }
}
