using System.Globalization;
using System.Text.Json;
using Exporter.Rules.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Exporter.Rules.Tests;

/// <summary>The chart's rules and dashboards are those of dashboards/, and its values say all of them.</summary>
public sealed class ChartRuleTests
{
    private static readonly YamlMappingNode Values = Yaml.LoadFile(Path.Combine(Repository.Chart, "values.yaml"));

    private static readonly JsonElement Schema = JsonElement.Parse(File.ReadAllText(Path.Combine(Repository.Chart, "values.schema.json")));

    private static JsonElement RuleSchema => Schema.GetProperty("properties").GetProperty("prometheusRule").GetProperty("properties");

    [Fact]
    public void The_values_have_the_thresholds_of_the_rules()
    {
        var thresholds = Values.Find("prometheusRule")!.Map("thresholds").Select(entry => (entry.Key, double.Parse(entry.Value, CultureInfo.InvariantCulture)));

        Assert.Equal(RuleFiles.Thresholds.OrderBy(threshold => threshold.Name, StringComparer.Ordinal), thresholds.OrderBy(threshold => threshold.Key, StringComparer.Ordinal));
        Assert.Equal(
            RuleFiles.Thresholds.Select(threshold => threshold.Name).Order(StringComparer.Ordinal),
            RuleSchema.GetProperty("thresholds").GetProperty("properties").EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_schema_has_the_alerts_of_the_rules()
    {
        var alerts = RuleFiles.Alerts.Select(alert => alert.Alert!).Distinct().Order(StringComparer.Ordinal);

        Assert.Equal(alerts, RuleSchema.GetProperty("disabledAlerts").GetProperty("items").GetProperty("enum").EnumerateArray().Select(name => name.GetString()!));
        Assert.Equal(alerts, RuleSchema.GetProperty("for").GetProperty("propertyNames").GetProperty("enum").EnumerateArray().Select(name => name.GetString()!));
    }

    [Fact]
    public void With_the_defaults_the_chart_has_the_rules_of_the_files()
    {
        var chart = new RenderedChart("--set", "prometheusRule.enabled=true");

        Assert.Equal(Sorted(RuleFiles.Rules.Where(rule => rule.Group is not ("podnet.link-speed" or "podnet.past" or "podnet.changes" or "podnet.uplink-changes" or "podnet.edge-changes"))), Sorted(chart.Rules));
    }

    [Fact]
    public void With_values_the_chart_has_other_thresholds_times_jobs_and_places_and_the_same_rules_else()
    {
        var chart = new RenderedChart(
            "--set-json",
            """prometheusRule.thresholds={"linkBytesPerSecond": 125000000, "handshakeSlowSeconds": 1.5}""",
            "--set",
            "prometheusRule.enabled=true,prometheusRule.linkSpeed=true,prometheusRule.past=true,"
            + "prometheusRule.disabledAlerts={PodnetWatchDown},prometheusRule.for.PodnetLinkBusy=1h,prometheusRule.runbookUrl=https://wiki.example.invalid/podnet/,prometheusRule.job=net-.*,"
            + "prometheusRule.alertLabels.team=network,prometheusRule.alertAnnotations.where=here");

        Assert.Equal(
            Sorted(RuleFiles.Rules.Where(rule => rule.Alert != "PodnetWatchDown").Select(rule => rule with
            {
                Expression = rule.Expression
                    .Replace("0.5 # handshakeSlowSeconds", "1.5 # handshakeSlowSeconds", StringComparison.Ordinal)
                    .Replace("1.25e+09 # linkBytesPerSecond", "1.25e+08 # linkBytesPerSecond", StringComparison.Ordinal)
                    .Replace(".*podnet.*", "net-.*", StringComparison.Ordinal),
                For = rule.Alert == "PodnetLinkBusy" ? "1h" : rule.For,
                Labels = rule.Alert is null ? rule.Labels : rule.Labels + "\nteam=network",
                Annotations = rule.Annotations.Replace("dashboards/runbooks/", "https://wiki.example.invalid/podnet/", StringComparison.Ordinal) + (rule.Alert is null ? "" : "\nwhere=here"),
            })),
            Sorted(chart.Rules));
    }

    [Fact]
    public void A_kernel_that_refuses_the_programs_of_uplinks_alerts_however_many_of_them_may_be_counted_otherwise()
    {
        var chart = new RenderedChart("--set", "prometheusRule.enabled=true,prometheusRule.thresholds.uplinksOtherwise=1");

        Assert.Contains("""podnet_exporter_hook_info{kind="uplink",hook="unavailable"} == 1""", chart.Rules.Single(rule => rule.Alert == "PodnetUplinkFallback").Expression, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_pins_there_is_no_alert_that_there_are_none()
    {
        var chart = new RenderedChart("--set", "prometheusRule.enabled=true,options.Bpf.PinDirectory=");

        Assert.DoesNotContain(chart.Rules, rule => rule.Alert == "PodnetUnpinned");
        Assert.Contains(chart.Rules, rule => rule.Alert == "PodnetStateUnkept");
    }

    [Theory]
    [InlineData("prometheusRule.thresholds.handshakeSlowSeconds=high", "handshakeSlowSeconds")]
    [InlineData("prometheusRule.thresholds.handshakeSlowSecond=1", "handshakeSlowSecond")]
    [InlineData("prometheusRule.thresholds.handshakeFailureRatio=5", "handshakeFailureRatio")]
    [InlineData("prometheusRule.disabledAlerts={PodnetHandshakeSluggish}", "disabledAlerts")]
    [InlineData("prometheusRule.for.PodnetLinkBusy=long", "PodnetLinkBusy")]
    public void A_wrong_value_is_refused_by_its_name(string value, string name)
    {
        var (exitCode, _, error) = RenderedChart.Render("--set", value);

        Assert.NotEqual(0, exitCode);
        Assert.Contains(name, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_config_maps_have_the_dashboards_and_the_label_that_the_sidecar_looks_for(bool hasElasticsearch)
    {
        var chart = new RenderedChart("--set", "dashboards.enabled=true", "--set", $"dashboards.elasticsearch={(hasElasticsearch ? "true" : "false")}");

        Assert.All(chart.Objects, map => Assert.Equal(("ConfigMap", "1"), (map.Text("kind"), map.Find("metadata")!.Map("labels")["grafana_dashboard"])));
        Assert.Equal(
            Dashboards.All.Concat(hasElasticsearch ? Dashboards.OfElasticsearch : []).Select(dashboard => (dashboard.File, dashboard.Root.GetRawText().Trim())).Order(),
            chart.Objects.SelectMany(map => map.Map("data")).Select(data => (data.Key, data.Value.Trim())).Order());
        Assert.Distinct(chart.Objects.Select(map => map.Find("metadata")!.Text("name")));
    }

    [Fact]
    public void Nothing_is_rendered_that_is_not_enabled()
    {
        var chart = new RenderedChart();

        Assert.Empty(chart.Objects);
    }

    private static IEnumerable<Rule> Sorted(IEnumerable<Rule> rules) => rules.OrderBy(rule => rule.ToString(), StringComparer.Ordinal);

    /// <summary>The chart's rules and dashboards.</summary>
    private sealed class RenderedChart
    {
        internal RenderedChart(params string[] arguments)
        {
            var (exitCode, output, error) = Render(arguments);
            Assert.True(exitCode == 0, output + error);
            Objects = [.. Yaml.Load(output).Where(IsOfRulesOrDashboards)];
        }

        internal IReadOnlyList<YamlMappingNode> Objects { get; }

        internal IReadOnlyList<Rule> Rules => Rule.Read(Assert.Single(Objects).Find("spec")!);

        internal static (int ExitCode, string Output, string Error) Render(params string[] arguments)
        {
            var helm = Environment.GetEnvironmentVariable("HELM") ?? "helm";
            Assert.SkipUnless(IsThere(helm), "helm is not installed, and HELM does not say where it is.");
            return Repository.Run(helm, ["template", "podnet", Repository.Chart, .. arguments]);
        }

        private static bool IsOfRulesOrDashboards(YamlMappingNode found) =>
            found.Text("kind") == "PrometheusRule" || found.Find("metadata")!.Map("labels").ContainsKey("grafana_dashboard");

        private static bool IsThere(string program) => File.Exists(program)
            || (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, program)));
    }
}
