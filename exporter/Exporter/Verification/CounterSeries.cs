using System.Globalization;
using System.Text;

namespace Exporter.Verification;

/// <summary>One sample of the text format of Prometheus (0.0.4) or of OpenMetrics: https://prometheus.io/docs/instrumenting/exposition_formats/.</summary>
internal static class CounterSeries
{
    /// <summary>Parses <c>name{labels} value [timestamp] [# exemplar]</c>.</summary>
    /// <param name="rest">The line behind the name of the sample.</param>
    /// <exception cref="FormatException">It is not written like that, or the value is not a whole number of at least 0.</exception>
    internal static (string? Namespace, string? Pod, UInt128 Value) Parse(ReadOnlySpan<char> rest)
    {
        string? space = null;
        string? pod = null;
        if (rest is ['{', .. var labels])
        {
            while ((labels = labels.TrimStart([' ', ','])) is not ['}', ..])
            {
                var equals = labels.IndexOf("=\"");
                if (equals < 0)
                {
                    throw new FormatException("has labels that do not end");
                }
                var name = labels[..equals].Trim();
                labels = labels[(equals + 2)..];
                var value = Unescape(ref labels);
                space = name is "namespace" ? value : space;
                pod = name is "pod" ? value : pod;
            }
            rest = labels[1..];
        }
        rest = rest.TrimStart();
        var end = rest.IndexOf(' ');
        return (space, pod, ParseValue(end < 0 ? rest.TrimEnd() : rest[..end]));
    }

    /// <param name="text">Behind the quotation mark; afterwards behind the closing one.</param>
    private static string Unescape(ref ReadOnlySpan<char> text)
    {
        var value = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '"':
                    text = text[(i + 1)..];
                    return value.ToString();
                case '\\' when i + 1 < text.Length:
                    value.Append(text[++i] == 'n' ? '\n' : text[i]);
                    break;
                default:
                    value.Append(text[i]);
                    break;
            }
        }
        throw new FormatException("has a label value that does not end");
    }

    private static UInt128 ParseValue(ReadOnlySpan<char> text)
    {
        if (UInt128.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var whole))
        {
            return whole;
        }
        return decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number >= 0 && decimal.IsInteger(number)
            ? (UInt128)number
            : throw new FormatException($"has the value '{text}', which is not a whole number of at least 0");
    }
}
