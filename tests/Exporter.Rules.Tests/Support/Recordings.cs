using System.Text.RegularExpressions;

namespace Exporter.Rules.Tests.Support;

/// <summary>A series: its name and labels.</summary>
internal sealed partial record Series(string Name, IReadOnlyDictionary<string, string> Labels)
{
    /// <summary>Labels that Prometheus attaches to a target's series.</summary>
    private static readonly string[] OfTarget = ["cluster", "job", "instance", "node"];

    /// <summary>The labels that the program gives it.</summary>
    internal IEnumerable<string> OwnLabels => Labels.Keys.Except(OfTarget).Order(StringComparer.Ordinal);

    internal string Shape => $"{Name}{{{string.Join(',', OwnLabels)}}}";

    internal static Series Parse(string text)
    {
        var match = Pattern().Match(text);
        return new(
            match.Groups["name"].Value,
            Label().Matches(match.Groups["labels"].Value).ToDictionary(label => label.Groups["name"].Value, label => label.Groups["value"].Value));
    }

    [GeneratedRegex(@"^(?<name>[a-zA-Z_:][\w:]*)({(?<labels>.*)})?")]
    private static partial Regex Pattern();

    [GeneratedRegex("(?<name>[a-zA-Z_]\\w*)=\"(?<value>(?:[^\"\\\\]|\\\\.)*)\"")]
    private static partial Regex Label();
}

/// <summary>What scrapes of the real program had; RecordingTests of the kernel ring make them and see that they are still true.</summary>
internal static class Recordings
{
    internal static IReadOnlyList<Series> All { get; } =
    [
        .. Directory.GetFiles(Path.Combine(Repository.Root, "tests", "Exporter.Rules.Tests", "Recordings"), "*.txt")
            .SelectMany(File.ReadLines).Select(Series.Parse),
    ];
}

/// <summary>What podnet-exporter metrics prints of each metric, which is a part of docs/metrics.md.</summary>
internal sealed partial record MetricPage(string Name, IReadOnlyDictionary<string, IReadOnlyList<string>> Labels)
{
    /// <summary>By name; a histogram and a summary also by the names of their series.</summary>
    internal static IReadOnlyDictionary<string, MetricPage> All { get; } = ReadAll();

    private static Dictionary<string, MetricPage> ReadAll()
    {
        var pages = new Dictionary<string, MetricPage>();
        var text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "metrics.md"));
        foreach (Match section in Section().Matches(text[text.IndexOf("<!-- From here on", StringComparison.Ordinal)..]))
        {
            var labels = LabelsLine().Match(section.Value).Groups[1].Value;
            var page = new MetricPage(
                section.Groups["name"].Value,
                Label().Matches(labels).ToDictionary(
                    label => label.Groups["name"].Value,
                    label => (IReadOnlyList<string>)label.Groups["values"].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries)));
            pages.Add(page.Name, page);
            var isHistogram = section.Value.Contains("\n- histogram", StringComparison.Ordinal);
            if (isHistogram)
            {
                pages.Add(page.Name + "_bucket", page with { Labels = page.Labels.Append(KeyValuePair.Create("le", (IReadOnlyList<string>)[])).ToDictionary() });
            }
            if (isHistogram || section.Value.Contains("\n- summary", StringComparison.Ordinal))
            {
                pages.Add(page.Name + "_count", page);
                pages.Add(page.Name + "_sum", page);
            }
        }
        return pages;
    }

    [GeneratedRegex(@"^### `(?<name>\w+)`\n.*?(?=^##|\z)", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Section();

    [GeneratedRegex("^- labels: (.*)$", RegexOptions.Multiline)]
    private static partial Regex LabelsLine();

    [GeneratedRegex(@"(?<name>\w+)(?: \((?<values>[^)]*)\))?(?:, |$)")]
    private static partial Regex Label();
}
