using System.Text.RegularExpressions;
using Exporter.Rules.Tests.Support;

namespace Exporter.Rules.Tests;

/// <summary>dashboards/rules, by Prometheus's own tool and by what is promised of every alert.</summary>
public sealed partial class RuleTests
{
    public static TheoryData<string> TestFiles => [.. RuleFiles.TestPaths.Select(path => Path.GetFileName(path))];

    public static TheoryData<string, string> Alerts
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var alert in RuleFiles.Alerts)
            {
                data.Add(alert.Alert!, alert.Severity ?? "");
            }
            return data;
        }
    }

    public static TheoryData<string> Runbooks => [.. Directory.GetFiles(Repository.Runbooks).Select(path => Path.GetFileNameWithoutExtension(path))];

    [Fact]
    public void The_rules_pass_promtool_check()
    {
        var (exitCode, output, error) = Repository.Run("promtool", ["check", "rules", "--lint=all", "--lint-fatal", .. RuleFiles.Paths]);

        Assert.True(exitCode == 0, output + error);
    }

    [Theory]
    [MemberData(nameof(TestFiles))]
    public void The_cases_pass_promtool_test(string file)
    {
        var (exitCode, output, error) = Repository.Run("promtool", "test", "rules", Path.Combine(Repository.Rules, "tests", file));

        Assert.True(exitCode == 0, output + error);
    }

    [Theory]
    [MemberData(nameof(Alerts))]
    public void An_alert_has_a_case_that_fires_and_a_near_miss(string alert, string severity)
    {
        var cases = RuleFiles.Cases.Where(@case => @case.Alert == alert).ToList();

        Assert.Contains(cases, @case => @case.Severities.Contains(severity));
        Assert.Contains(cases, @case => !@case.Severities.Contains(severity));
    }

    [Theory]
    [MemberData(nameof(Alerts))]
    public void An_alert_says_how_long_how_bad_what_and_where_more_is(string name, string severity)
    {
        var alert = RuleFiles.Alerts.Single(alert => alert.Alert == name && alert.Severity == severity);

        Assert.Matches("^Podnet[A-Z][A-Za-z]+$", name);
        Assert.Matches("^(critical|warning|info)$", severity);
        Assert.Matches("^[1-9][0-9]*[mh]$", alert.For);
        Assert.True(alert.HasAnnotation("summary") && alert.HasAnnotation("description"));
        Assert.Contains($"runbook_url=dashboards/runbooks/{name}.md", alert.Annotations, StringComparison.Ordinal);
    }

    /// <summary>As in kubernetes-mixin: what is wrong with one pod or one node wakes nobody.</summary>
    [Fact]
    public void Only_namespaces_workloads_and_the_absence_of_all_exporters_page() => Assert.Equal(
        [
            "PodnetExporterAbsent", "PodnetNamespaceHandshakesFail", "PodnetNamespaceHandshakesSlow", "PodnetWorkloadHandshakesFail",
            "PodnetWorkloadHandshakesSlow",
        ],
        RuleFiles.Alerts.Where(alert => alert.Severity == "critical").Select(alert => alert.Alert!).Order(StringComparer.Ordinal));

    /// <summary>__host__ and __other__ are not pods.</summary>
    [Fact]
    public void An_alert_on_pods_leaves_out_the_host_and_what_is_folded() => Assert.All(
        RuleFiles.Alerts.Where(alert => alert.Group is "podnet.handshakes" or "podnet.critical" or "podnet.bandwidth" or "podnet.changes"),
        alert => Assert.Contains("namespace!~\"__host__|__other__\",pod!=\"__other__\",workload!=\"__other__\"", alert.Expression, StringComparison.Ordinal));

    /// <summary>It is always 1, so another threshold than none would turn the alert off.</summary>
    [Fact]
    public void An_info_metric_has_no_threshold() => Assert.All(
        RuleFiles.Alerts.SelectMany(alert => InfoMetric().Matches(alert.Expression)), match => Assert.DoesNotContain('#', match.Groups["comparison"].Value));

    /// <summary>With Metrics:Aggregation=namespace.</summary>
    [Fact]
    public void An_alert_names_a_series_of_a_namespace_without_a_slash_behind_it() => Assert.All(
        RuleFiles.Alerts.Where(alert => !alert.Expression.Contains("by (cluster, namespace, workload,", StringComparison.Ordinal)),
        alert => Assert.DoesNotContain("$labels.namespace }}/", alert.Annotations, StringComparison.Ordinal));

    [Theory]
    [MemberData(nameof(Alerts))]
    public void An_alert_has_a_runbook_with_its_four_sections(string alert, string _)
    {
        var text = File.ReadAllText(Path.Combine(Repository.Runbooks, alert + ".md"));

        Assert.Equal([$"# {alert}", "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"], Headings().Matches(text).Select(match => match.Value));
        Assert.DoesNotContain(Headings().Split(text)[1..], section => string.IsNullOrWhiteSpace(section) && section != "\n\n");
        Assert.Contains("```promql", text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Runbooks))]
    public void A_runbook_is_of_an_alert_and_its_queries_are_PromQL(string name)
    {
        Assert.Contains(RuleFiles.Alerts, alert => alert.Alert == name);
        var queries = Queries().Matches(File.ReadAllText(Path.Combine(Repository.Runbooks, name + ".md"))).Select(match => match.Groups[1].Value);
        var rules = string.Concat(queries.Select((query, i) => $"      - record: query{i}\n        expr: |\n          {query.Trim().Replace("\n", "\n          ", StringComparison.Ordinal)}\n"));
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, $"groups:\n  - name: {name}\n    rules:\n{rules}");

            var (exitCode, output, error) = Repository.Run("promtool", "check", "rules", path);

            Assert.True(exitCode == 0, output + error);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_recording_rule_is_called_by_its_level_its_metric_and_its_operation() =>
        Assert.All(RuleFiles.Rules.Where(rule => rule.Record is not null), rule => Assert.Matches("^(pod|instance|workload|edge)(_interface)?(_class)?(_(direction|role))?:podnet_[a-z_]+:[a-z0-9_]+$", rule.Record));

    [Fact]
    public void A_recording_rule_is_used_by_an_alert_a_panel_or_another_rule()
    {
        var panels = Dashboards.All.SelectMany(dashboard => dashboard.Queries).Select(query => query.Expression);
        var texts = panels.Concat(RuleFiles.Rules.Select(rule => rule.Expression)).ToList();

        Assert.All(
            RuleFiles.Rules.Where(rule => rule.Record is not null),
            rule => Assert.Contains(texts, text => Regex.IsMatch(text, $@"(?<![\w:]){Regex.Escape(rule.Record!)}(?![\w:])")));
    }

    [Fact]
    public void A_threshold_has_one_number_wherever_it_is_used() => Assert.Distinct(RuleFiles.Thresholds.Select(threshold => threshold.Name));

    [GeneratedRegex(@"_info(?:\{[^}]*\})?(?<comparison>\s*[<>=!]+[^\n]*)")]
    private static partial Regex InfoMetric();

    [GeneratedRegex("^##? .*$", RegexOptions.Multiline)]
    private static partial Regex Headings();

    [GeneratedRegex(@"```promql\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Queries();
}
