using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>podnet-exporter options: every option, as a table in Markdown.</summary>
internal static partial class OptionsText
{
    internal static string Write(IEnumerable<OptionDescription> options)
    {
        var text = new StringBuilder("""
            | option | default | values | a change is in force | what it does |
            |--|--|--|--|--|

            """);
        foreach (var option in options)
        {
            var when = option.IsLive ? "at once" : "at the next start";
            text.Append(CultureInfo.InvariantCulture, $"| `{option.Key}` | `{option.Default}` | {option.Values} | {when} | {Code().Replace(option.Description, "`$0`")} |\n");
        }
        return text.ToString().TrimEnd();
    }

    /// <summary>Options, metrics, labels' values and variables of the environment, which stand in code type.</summary>
    [GeneratedRegex(@"\b[A-Z][a-z]+:[A-Z]\w+(=\w+)?|\bpodnet_\w+|__\w+__|\bNODE_NAME\b", RegexOptions.CultureInvariant)]
    private static partial Regex Code();
}
