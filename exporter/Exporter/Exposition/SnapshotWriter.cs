using System.Buffers;
using System.Buffers.Text;
using Exporter.Accounts;

namespace Exporter.Exposition;

/// <summary>
/// Writes the pods' families and the totals beside them from the committed counts of their accounts: all lines are of one moment. Allocates nothing for a line.
/// </summary>
internal sealed class SnapshotWriter(PodAccounts accounts)
{
    private const int LongestNumber = 20;

    private readonly Dictionary<(LevelPlan Plan, ExpositionFormat Format), FamilyText[]> _families = [];
    private readonly Dictionary<ExpositionFormat, TotalText[]> _totals = [];

    /// <summary>Writes all families, without an end of the exposition.</summary>
    internal void Write(ArrayBufferWriter<byte> output, ExpositionFormat format) => accounts.Read((all, totals) =>
    {
        foreach (var series in all)
        {
            Write(output, series, format);
        }
        if (!_totals.TryGetValue(format, out var texts))
        {
            _totals[format] = texts = [.. totals.Select(total => new TotalText(total, format))];
        }
        foreach (var text in texts)
        {
            Write(output, text);
        }
    });

    private void Write(ArrayBufferWriter<byte> output, IShownSeries series, ExpositionFormat format)
    {
        var shown = series.FindShown();
        foreach (var family in FamiliesOf(series.Plan, format))
        {
            output.Write(family.Head);
            foreach (var account in shown)
            {
                if ((account.Blocks & family.Blocks) == 0)
                {
                    continue;
                }
                var row = account.ReadCommitted(series.Plan.Signals[family.Signal]);
                account.Text ??= FamilyText.WriteLabels(series.LabelNames, account.Labels.Values);
                foreach (var column in family.Columns)
                {
                    if ((account.Blocks & column.Block) != 0)
                    {
                        Write(output, account.Text, column, row);
                    }
                }
            }
        }
    }

    private static void Write(ArrayBufferWriter<byte> output, TotalText total)
    {
        output.Write(total.Head);
        foreach (var (beginning, read) in total.Samples)
        {
            output.Write(beginning);
            output.Advance(WriteNumber(output.GetSpan(LongestNumber), read(), 0));
            output.Write("\n"u8);
        }
    }

    private FamilyText[] FamiliesOf(LevelPlan plan, ExpositionFormat format)
    {
        if (!_families.TryGetValue((plan, format), out var families))
        {
            _families[(plan, format)] = families =
            [
                .. from signal in plan.Signals.ToArray().Index()
                   from columns in signal.Item.Columns.GroupBy(column => column.Column.Family)
                   select new FamilyText(columns.Key, signal.Index, columns, format),
            ];
        }
        return families;
    }

    private static void Write(ArrayBufferWriter<byte> output, byte[] labels, FamilyText.ColumnText column, ReadOnlySpan<ulong> row)
    {
        if (column.Column is FieldColumn counter)
        {
            Write(output, labels, column.Lines[0], row[counter.Field], 0);
            return;
        }
        if (column.Column is SummaryColumn summary)
        {
            Write(output, labels, column.Lines[0], row[summary.Sum], summary.Decimals);
            Write(output, labels, column.Lines[1], row[summary.Count], 0);
            return;
        }
        var ranges = (RangesColumn)column.Column;
        var (count, sum) = (0ul, 0ul);
        for (var range = 0; range <= ranges.Bounds.Count; range++)
        {
            count += ranges.Count(row, range);
            sum += ranges.Sum(row, range);
            Write(output, labels, column.Lines[range], count, 0);
        }
        Write(output, labels, column.Lines[^2], sum, ranges.Decimals);
        Write(output, labels, column.Lines[^1], count, 0);
    }

    private static void Write(ArrayBufferWriter<byte> output, byte[] labels, FamilyText.Line line, ulong value, int decimals)
    {
        var span = output.GetSpan(line.Beginning.Length + labels.Length + line.End.Length + (2 * LongestNumber) + 2);
        line.Beginning.CopyTo(span);
        var length = line.Beginning.Length;
        labels.CopyTo(span[length..]);
        length += labels.Length;
        line.End.CopyTo(span[length..]);
        length += line.End.Length;
        length += WriteNumber(span[length..], value, decimals);
        span[length++] = (byte)'\n';
        output.Advance(length);
    }

    /// <summary>A number divided by a power of ten, exactly.</summary>
    private static int WriteNumber(Span<byte> span, ulong value, int decimals)
    {
        var divisor = 1ul;
        for (var i = 0; i < decimals; i++)
        {
            divisor *= 10;
        }
        var (whole, rest) = Math.DivRem(value, divisor);
        Utf8Formatter.TryFormat(whole, span, out var length);
        if (rest == 0)
        {
            return length;
        }
        span[length++] = (byte)'.';
        Utf8Formatter.TryFormat(rest, span[length..], out _, new StandardFormat('D', (byte)decimals));
        length += decimals;
        while (span[length - 1] == '0')
        {
            length--;
        }
        return length;
    }
}
