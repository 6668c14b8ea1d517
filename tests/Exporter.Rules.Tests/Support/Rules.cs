using System.Globalization;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Exporter.Rules.Tests.Support;

/// <summary>An alert or a recording rule.</summary>
internal sealed record Rule(string Group, string? Interval, string? Alert, string? Record, string Expression, string? For, string Labels, string Annotations)
{
    internal string? Severity => Regex.Match(Labels, "^severity=(.*)$", RegexOptions.Multiline) is { Success: true } match ? match.Groups[1].Value : null;

    internal bool HasAnnotation(string name) => Regex.IsMatch(Annotations, $"^{name}=.", RegexOptions.Multiline);

    internal static IReadOnlyList<Rule> Read(YamlNode document) =>
    [
        .. from @group in document.List("groups")
        from rule in @group.List("rules")
        select new Rule(
            @group.Text("name")!, @group.Text("interval"), rule.Text("alert"), rule.Text("record"), rule.Text("expr")!, rule.Text("for"), Lines(rule.Map("labels")), Lines(rule.Map("annotations"))),
    ];

    private static string Lines(IReadOnlyDictionary<string, string> map) =>
        string.Join('\n', map.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => $"{entry.Key}={entry.Value}"));
}

/// <summary>The rule files, and the cases that promtool runs.</summary>
internal static partial class RuleFiles
{
    internal static IReadOnlyList<string> Paths { get; } = [.. Directory.GetFiles(Repository.Rules, "*.yaml").Order(StringComparer.Ordinal)];

    internal static IReadOnlyList<string> TestPaths { get; } = [.. Directory.GetFiles(Path.Combine(Repository.Rules, "tests"), "*.yaml").Order(StringComparer.Ordinal)];

    internal static IReadOnlyList<Rule> Rules { get; } = [.. Paths.SelectMany(path => Rule.Read(Yaml.LoadFile(path)))];

    internal static IEnumerable<Rule> Alerts => Rules.Where(rule => rule.Alert is not null);

    /// <summary>What each alert is expected to do at a moment: the severities that fire.</summary>
    internal static IReadOnlyList<(string Alert, IReadOnlyList<string> Severities)> Cases { get; } =
    [
        .. from path in TestPaths
        from test in Yaml.LoadFile(path).List("tests")
        from @case in test.List("alert_rule_test")
        select (@case.Text("alertname")!, (IReadOnlyList<string>)[.. @case.List("exp_alerts").Select(alert => alert.Map("exp_labels")["severity"])]),
    ];

    /// <summary>A number with its name behind it; the same name has the same number everywhere.</summary>
    internal static IEnumerable<(string Name, double Value)> Thresholds => Rules
        .SelectMany(rule => Threshold().Matches(rule.Expression))
        .Select(match => (match.Groups["name"].Value, double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture)))
        .Distinct();

    [GeneratedRegex(@"(?<value>\S+) # (?<name>\w+)\n")]
    private static partial Regex Threshold();
}
