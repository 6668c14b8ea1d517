using System.Globalization;
using System.Text;
using Exporter.Accounts;
using Exporter.Metrics;

namespace Exporter.Exposition;

/// <summary>A family of pods as it is written: its head, and the constant parts of the lines of each of its columns. Immutable.</summary>
internal sealed class FamilyText
{
    private const string TotalEnd = "_total";

    /// <param name="signal">The number of the signal at the level.</param>
    /// <param name="columns">The signal's columns of this family, each with its block.</param>
    internal FamilyText(MetricDefinition family, int signal, IEnumerable<(Column Column, ulong Block)> columns, ExpositionFormat format)
    {
        Signal = signal;
        Head = WriteHead(family, format);
        Columns = [.. columns.Select(column => new ColumnText(column.Column, column.Block, format))];
        Blocks = columns.Aggregate(0ul, (blocks, column) => blocks | column.Block);
    }

    internal int Signal { get; }

    /// <summary>The blocks that have lines of the family.</summary>
    internal ulong Blocks { get; }

    internal byte[] Head { get; }

    internal ColumnText[] Columns { get; }

    /// <summary>The lines before a family's samples.</summary>
    internal static byte[] WriteHead(MetricDefinition family, ExpositionFormat format)
    {
        // In OpenMetrics a counter's family has its name without the suffix of the samples.
        var name = format == ExpositionFormat.OpenMetrics && family.Name.EndsWith(TotalEnd, StringComparison.Ordinal) ? family.Name[..^TotalEnd.Length] : family.Name;
        return Encoding.UTF8.GetBytes($"# HELP {name} {Escape(family.Help, format)}\n# TYPE {name} {Options.EnumText.Lower(family.Type)}\n");
    }

    /// <summary>Labels as they stand in a line, without braces.</summary>
    internal static byte[] WriteLabels(IEnumerable<string> names, IEnumerable<string> values) =>
        Encoding.UTF8.GetBytes(string.Join(',', names.Zip(values, (name, value) => $"{name}=\"{EscapeLabel(value)}\"")));

    private static string EscapeLabel(string value) => Escape(value, ExpositionFormat.OpenMetrics);

    private static string Escape(string text, ExpositionFormat format)
    {
        text = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return format == ExpositionFormat.OpenMetrics ? text.Replace("\"", "\\\"", StringComparison.Ordinal) : text;
    }

    /// <summary>The lines of one column: each is a beginning, the labels of the account, and an end up to the value.</summary>
    internal sealed class ColumnText
    {
        internal ColumnText(Column column, ulong block, ExpositionFormat format)
        {
            (Column, Block) = (column, block);
            var labels = Encoding.UTF8.GetString(WriteLabels(column.Family.Labels.Select(label => label.Name), column.Labels));
            var name = column.Family.Name;
            if (column is RangesColumn ranges)
            {
                var bounds = column.Family.Bounds.Select(bound => WriteBound(bound, format)).Append("+Inf");
                Lines =
                [
                    .. bounds.Select(bound => new Line($"{name}_bucket", $"{labels},le=\"{bound}\"")),
                    new($"{name}_sum", labels),
                    new($"{name}_count", labels),
                ];
            }
            else
            {
                Lines = column is SummaryColumn ? [new($"{name}_sum", labels), new($"{name}_count", labels)] : [new(name, labels)];
            }
        }

        internal Column Column { get; }

        internal ulong Block { get; }

        /// <summary>A counter has one; a summary has one for its sum and one for its count; a histogram has these, and one for each bucket and for the infinite one.</summary>
        internal Line[] Lines { get; }

        private static string WriteBound(double bound, ExpositionFormat format)
        {
            var text = bound.ToString("R", CultureInfo.InvariantCulture).ToLowerInvariant();
            // OpenMetrics has canonical floating point numbers in labels.
            return format == ExpositionFormat.OpenMetrics && text.All(char.IsAsciiDigit) ? $"{text}.0" : text;
        }
    }

    /// <summary>One sample line.</summary>
    internal sealed class Line(string name, string labels)
    {
        internal byte[] Beginning { get; } = Encoding.UTF8.GetBytes($"{name}{{");

        internal byte[] End { get; } = Encoding.UTF8.GetBytes(labels.Length == 0 ? "} " : $",{labels.TrimStart(',')}}} ");
    }
}
