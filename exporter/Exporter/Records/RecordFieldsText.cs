using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Exporter.Records;

/// <summary>Every field of records, as the table in Markdown of docs/flows.md.</summary>
internal static partial class RecordFieldsText
{
    internal static string Write()
    {
        var text = new StringBuilder("""
            | field | type | unit | records | meaning |
            |--|--|--|--|--|

            """);
        foreach (var field in RecordFields.All)
        {
            var type = $"{(field.IsList ? "list of " : "")}{RecordText.Name(field.Type)}";
            var datasets = string.Join(", ", field.Datasets.Select(RecordText.Name)) + (field.IsRequired ? "" : " (optional)");
            var values = field.Values.Count == 0 ? "" : $" {string.Join(", ", field.Values.Select(value => $"`{value}`"))}.";
            text.Append(CultureInfo.InvariantCulture, $"| `{field.Path}` | {type} | {field.Unit} | {datasets} | {Code().Replace(field.Description, "`$0`")}{values} |\n");
        }
        return text.ToString().TrimEnd();
    }

    /// <summary>Options and paths of fields, which stand in code type.</summary>
    [GeneratedRegex(@"\b[A-Z]\w+:[A-Z]\w+|\b(event|source|destination|flow)\.[a-z_.]*[a-z]\b", RegexOptions.CultureInvariant)]
    private static partial Regex Code();
}
