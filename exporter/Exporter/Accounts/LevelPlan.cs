using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>The columns of one level, and what they cost.</summary>
internal sealed class LevelPlan
{
    private readonly SignalPlan[] _signals;

    internal LevelPlan(SeriesLevel level, IReadOnlyList<SignalColumns> signals)
    {
        Level = level;
        _signals = [.. signals.Select(signal => new SignalPlan(signal, [.. signal.Groups.Where(group => group.Level == level)]))];
        Lines = Columns.Sum(column => column.Lines);
        HostLines = _signals.Sum(signal => signal.Groups.Where(group => group.IsOfHost).SelectMany(group => group.Columns).Sum(column => column.Lines));
        Totals = [.. _signals.Where(signal => signal.HasTotals).Select(signal => signal.Fields.Name)];
        Families = [.. Columns.Select(column => column.Family).Distinct()];
    }

    internal SeriesLevel Level { get; }

    /// <summary>In the order of the ledger's.</summary>
    internal ReadOnlySpan<SignalPlan> Signals => _signals;

    /// <summary>The most sample lines that one pod, workload or namespace can have. All of them are set aside for it.</summary>
    internal int Lines { get; }

    /// <summary>The most that the host can have.</summary>
    internal int HostLines { get; }

    /// <summary>The names of the signals whose counts at this level are those that the totals count.</summary>
    internal IReadOnlyList<string> Totals { get; }

    internal IReadOnlyList<MetricDefinition> Families { get; }

    private IEnumerable<Column> Columns => _signals.SelectMany(signal => signal.Columns);

    internal SignalPlan PlanOf(RowFields fields)
    {
        foreach (var signal in _signals)
        {
            if (ReferenceEquals(signal.Fields, fields))
            {
                return signal;
            }
        }
        throw new ArgumentException($"there are no columns of {fields.Name}", nameof(fields));
    }

    /// <summary>
    /// The rows of a record of a previous process that this level continues to show: it may have had other families. Ranges are those of today.
    /// </summary>
    internal (RowFields Fields, ulong[] Row)[] FindShown(GroupKey key, LedgerEntry entry)
    {
        return [.. _signals.Select(signal => (signal.Fields, Find(signal)))];

        ulong[] Find(SignalPlan signal)
        {
            var row = new ulong[signal.Fields.Count];
            if (signal.Columns.Count > 0 && key.HasTotal(signal.Fields) == signal.HasTotals)
            {
                entry.ReadTotal(signal.Fields, row);
                foreach (var column in signal.Columns)
                {
                    column.Fit(row);
                }
            }
            return row;
        }
    }

    /// <summary>The columns of one signal at this level.</summary>
    internal sealed class SignalPlan(SignalColumns signal, IReadOnlyList<ColumnGroup> groups)
    {
        private readonly Column[] _columns = [.. groups.SelectMany(group => group.Columns)];
        private readonly ulong[] _nothing = new ulong[signal.Fields.Count];

        internal RowFields Fields => signal.Fields;

        internal IReadOnlyList<ColumnGroup> Groups => groups;

        internal IReadOnlyList<Column> Columns => _columns;

        /// <summary>A row that has counted nothing.</summary>
        internal ReadOnlySpan<ulong> Nothing => _nothing;

        internal bool IsOfHost { get; } = groups.Any(group => group.IsOfHost);

        internal bool HasTotals { get; } = groups.Any(group => group.HasTotals);

        internal ulong WeightOf(ReadOnlySpan<ulong> row) => signal.Weight?.Invoke(row) ?? 0;

        /// <summary>The sample lines of a record with this row.</summary>
        internal int CountLines(ReadOnlySpan<ulong> row)
        {
            var lines = 0;
            foreach (var column in _columns)
            {
                lines += column.IsShown(row) ? column.Lines : 0;
            }
            return lines;
        }
    }
}
