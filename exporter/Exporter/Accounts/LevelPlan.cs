using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;

namespace Exporter.Accounts;

/// <summary>The blocks of one level, and what they cost. A set of them is a number with a bit for each.</summary>
internal sealed class LevelPlan
{
    private const int MaxBlocks = 64;

    private readonly Block[] _blocks;
    private readonly SignalPlan[] _signals;

    internal LevelPlan(SeriesLevel level, IReadOnlyList<SignalColumns> signals)
    {
        Level = level;
        var (blocks, plans) = (new List<Block>(), new List<SignalPlan>());
        foreach (var signal in signals)
        {
            List<ColumnGroup> groups = [.. signal.Groups.Where(group => group.Level == level)];
            plans.Add(new(signal.Fields, [.. groups.SelectMany(group => group.Blocks)], blocks.Count, groups.Any(group => group.HasTotals)));
            foreach (var group in groups)
            {
                HostBlocks |= group.IsOfHost ? SetOf(blocks.Count, group.Blocks.Count) : 0;
                blocks.AddRange(group.Blocks);
            }
        }
        (_blocks, _signals) = ([.. blocks], [.. plans]);
        AllBlocks = _blocks.Length <= MaxBlocks ? SetOf(0, _blocks.Length) : throw new ArgumentException($"a level has at most {MaxBlocks} blocks", nameof(signals));
        (Lines, HostLines) = (CountLines(AllBlocks), CountLines(HostBlocks));
        Reserved = signals.SelectMany(signal => signal.Groups).Where(group => group.Level == level).Max(group => (int?)group.Reserved) ?? 0;
        Totals = [.. _signals.Where(signal => signal.HasTotals).Select(signal => signal.Fields.Name)];
        Families = [.. _blocks.SelectMany(block => block.Columns).Select(column => column.Family).Distinct()];
    }

    internal SeriesLevel Level { get; }

    /// <summary>Whether series stand for pods, together or each by itself.</summary>
    internal bool IsOfPods => Level != SeriesLevel.Interface;

    /// <summary>How many accounts have room for every block, whatever comes: of pods the account of all others.</summary>
    internal int Reserved { get; }

    /// <summary>By their numbers.</summary>
    internal ReadOnlySpan<Block> Blocks => _blocks;

    internal ulong AllBlocks { get; }

    /// <summary>The blocks that the host has, too.</summary>
    internal ulong HostBlocks { get; }

    /// <summary>In the order of the ledger's.</summary>
    internal ReadOnlySpan<SignalPlan> Signals => _signals;

    /// <summary>The sample lines of one pod, workload, namespace or interface that has every block.</summary>
    internal int Lines { get; }

    /// <summary>The most sample lines that the host can have.</summary>
    internal int HostLines { get; }

    /// <summary>The names of the signals whose counts at this level are those that the totals count.</summary>
    internal IReadOnlyList<string> Totals { get; }

    internal IReadOnlyList<MetricDefinition> Families { get; }

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

    /// <summary>The blocks of this kind.</summary>
    internal ulong BlocksOf(string kind)
    {
        var blocks = 0ul;
        for (var number = 0; number < _blocks.Length; number++)
        {
            blocks |= _blocks[number].Name == kind ? 1ul << number : 0;
        }
        return blocks;
    }

    /// <summary>The kinds of these blocks, each once.</summary>
    internal IEnumerable<string> KindsOf(ulong blocks) => _blocks.Where((_, number) => (blocks & (1ul << number)) != 0).Select(block => block.Name).Distinct();

    /// <summary>The sample lines of these blocks.</summary>
    internal int CountLines(ulong blocks)
    {
        var lines = 0;
        while (blocks != 0)
        {
            lines += _blocks[Block.TakeFirst(ref blocks)].Lines;
        }
        return lines;
    }

    private static ulong SetOf(int first, int count) => (ulong)(((UInt128.One << count) - 1) << first);

    /// <summary>The blocks of one signal at this level.</summary>
    internal sealed class SignalPlan
    {
        private const sbyte None = -1;

        private readonly Block[] _blocks;

        /// <summary>The number of each field's block at this level, by the number of the field.</summary>
        private readonly sbyte[] _blockOf;
        private readonly ulong[] _nothing;

        /// <param name="first">The number of the first block at the level.</param>
        internal SignalPlan(RowFields fields, Block[] blocks, int first, bool hasTotals)
        {
            (Fields, _blocks, HasTotals) = (fields, blocks, hasTotals);
            _blockOf = new sbyte[fields.Count];
            _nothing = new ulong[fields.Count];
            Array.Fill(_blockOf, None);
            Columns = [.. from block in blocks.Index() from column in block.Item.Columns select (column, 1ul << (first + block.Index))];
            foreach (var (index, block) in blocks.Index())
            {
                foreach (var field in block.Columns.SelectMany(column => column.Fields))
                {
                    _blockOf[field] = _blockOf[field] == None ? (sbyte)(first + index) : throw new ArgumentException($"{fields.Names[field]} is in two blocks", nameof(blocks));
                }
            }
        }

        internal RowFields Fields { get; }

        /// <summary>Each with the set that is its block.</summary>
        internal IReadOnlyList<(Column Column, ulong Block)> Columns { get; }

        /// <summary>A row that has counted nothing.</summary>
        internal ReadOnlySpan<ulong> Nothing => _nothing;

        internal bool HasTotals { get; }

        /// <summary>The blocks in which a row counts something.</summary>
        internal ulong FindCounted(ReadOnlySpan<ulong> row)
        {
            var counted = 0ul;
            for (var field = 0; field < row.Length; field++)
            {
                if (row[field] != 0 && _blockOf[field] is not None and var block)
                {
                    counted |= 1ul << block;
                }
            }
            return counted;
        }

        /// <summary>The part of a row that is in these blocks.</summary>
        /// <param name="part">As long as the row.</param>
        internal void Select(ReadOnlySpan<ulong> row, ulong blocks, Span<ulong> part)
        {
            for (var field = 0; field < row.Length; field++)
            {
                part[field] = row[field] != 0 && _blockOf[field] is not None and var block && (blocks & (1ul << block)) != 0 ? row[field] : 0;
            }
        }

        /// <summary>Makes a row of another version or other options fit the columns.</summary>
        internal void Fit(Span<ulong> row)
        {
            foreach (var block in _blocks)
            {
                foreach (var column in block.Columns)
                {
                    column.Fit(row);
                }
            }
        }
    }
}
