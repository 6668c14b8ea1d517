using System.Text.RegularExpressions;
using Exporter.Rules.Tests.Support;

namespace Exporter.Rules.Tests;

/// <summary>Rules, panels, runbooks and the cases of promtool use what the program has, and nothing else.</summary>
public sealed partial class RecordedSeriesTests
{
    /// <summary>What series can have besides, by Metrics:PodLabels and Metrics:Aggregation, and from Prometheus.</summary>
    private static readonly string[] OtherLabels = ["cluster", "job", "instance", "node", "workload", "workload_kind"];

    public static TheoryData<string> TestFiles => [.. RuleFiles.TestPaths.Select(path => Path.GetFileName(path))];

    [Theory]
    [MemberData(nameof(TestFiles))]
    public void A_case_has_series_that_the_program_was_seen_to_have(string file)
    {
        var shapes = Recordings.All.Select(series => series.Shape).ToHashSet();
        var bounds = Recordings.All.Where(series => series.Name.EndsWith("_bucket", StringComparison.Ordinal)).Select(series => (series.Name, series.Labels["le"])).ToHashSet();

        Assert.All(
            Yaml.LoadFile(Path.Combine(Repository.Rules, "tests", file)).List("tests").SelectMany(test => test.List("input_series")).Select(input => Series.Parse(input.Text("series")!)),
            series =>
            {
                if (series.Name == "up")
                {
                    return;
                }
                Assert.Contains(series.Shape, shapes);
                if (!MetricPage.All.TryGetValue(series.Name, out var page))
                {
                    Assert.Equal("process_start_time_seconds", series.Name);
                    return;
                }
                Assert.All(series.Labels.Where(label => page.Labels.GetValueOrDefault(label.Key) is { Count: > 0 }), label => Assert.Contains(label.Value, page.Labels[label.Key]));
                if (series.Labels.TryGetValue("le", out var bound))
                {
                    Assert.Contains((series.Name, bound), bounds);
                }
            });
    }

    [Fact]
    public void Every_metric_label_and_value_that_rules_panels_and_runbooks_name_is_one_of_the_program()
    {
        var records = RuleFiles.Rules.Select(rule => rule.Record).OfType<string>().ToHashSet();
        IEnumerable<(string Where, string Expression)> texts = RuleFiles.Rules.Select(rule => (Where: rule.Alert ?? rule.Record!, rule.Expression))
            .Concat(Dashboards.All.SelectMany(dashboard => dashboard.Queries).Select(query => (query.Panel, query.Expression)))
            .Concat(Directory.GetFiles(Repository.Runbooks).SelectMany(path => Queries().Matches(File.ReadAllText(path)).Select(match => (Path.GetFileName(path), match.Groups[1].Value))));

        Assert.All(texts, text => Assert.All(Selector().Matches(text.Expression), selector =>
        {
            var name = selector.Groups["name"].Value;
            if (records.Contains(name))
            {
                return;
            }
            Assert.True(MetricPage.All.TryGetValue(name, out var page), $"{text.Where}: {name} is not a metric of the program.");
            Assert.All(Matcher().Matches(selector.Groups["labels"].Value), matcher =>
            {
                var (label, value) = (matcher.Groups["label"].Value, matcher.Groups["value"].Value);
                if (!page.Labels.TryGetValue(label, out var values))
                {
                    Assert.True(OtherLabels.Contains(label), $"{text.Where}: {name} has no label {label}.");
                }
                // A value that is left out does not have to be there.
                else if (values.Count > 0 && matcher.Groups["operator"].Value[0] == '=' && !value.Contains('$', StringComparison.Ordinal))
                {
                    var isPattern = matcher.Groups["operator"].Value == "=~";
                    Assert.All(
                        value.Split('|'),
                        each => Assert.True(
                            values.Any(known => isPattern ? Regex.IsMatch(known, $"^(?:{each})$") : known == each), $"{text.Where}: {name} has no {label} {each}."));
                }
            });
        }));
    }

    [GeneratedRegex(@"```promql\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Queries();

    [GeneratedRegex(@"(?<![\w:])(?<name>(?:pod_\w+:|instance\w*:|workload\w*:|edge\w*:)?podnet_[\w:]+)(?:\{(?<labels>[^}]*)\})?")]
    private static partial Regex Selector();

    [GeneratedRegex("(?<label>\\w+)(?<operator>=~|!~|!=|=)\"(?<value>[^\"]*)\"")]
    private static partial Regex Matcher();
}
