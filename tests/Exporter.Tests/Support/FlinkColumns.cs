using System.Text.RegularExpressions;

namespace Exporter.Tests.Support;

/// <summary>The columns of the first table that a file of Flink SQL makes, each with its path and type; those of rows are columns of their own.</summary>
internal static partial class FlinkColumns
{
    internal static IReadOnlyDictionary<string, string> Read(string sql)
    {
        var columns = new Dictionary<string, string>();
        var table = sql[sql.IndexOf("CREATE TABLE", StringComparison.Ordinal)..sql.IndexOf("\n) WITH", StringComparison.Ordinal)];
        foreach (Match column in Column().Matches(table))
        {
            Add(columns, column.Groups["name"].Value, column.Groups["type"].Value);
        }
        return columns;
    }

    private static void Add(Dictionary<string, string> columns, string path, string type)
    {
        if (!type.StartsWith("ROW<", StringComparison.Ordinal))
        {
            columns.Add(path, type);
            return;
        }
        var rest = type[4..^1];
        while (rest.Length > 0)
        {
            var name = rest[1..rest.IndexOf('`', 1)];
            var begin = name.Length + 3;
            var end = begin;
            for (var depth = 0; end < rest.Length && (depth > 0 || rest[end] != ','); end++)
            {
                depth += rest[end] switch { '<' => 1, '>' => -1, _ => 0 };
            }
            Add(columns, $"{path}.{name}", rest[begin..end]);
            rest = rest[Math.Min(rest.Length, end + 2)..];
        }
    }

    /// <summary>Without metadata, computed columns and watermarks.</summary>
    [GeneratedRegex("^  `(?<name>[^`]+)` (?<type>(?:ROW|ARRAY|STRING|BIGINT|DOUBLE|TIMESTAMP_LTZ)[^\n]*?),?$(?<!VIRTUAL,)", RegexOptions.Multiline)]
    private static partial Regex Column();
}
