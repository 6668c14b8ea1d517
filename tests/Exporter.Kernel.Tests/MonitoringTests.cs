using System.Text.Json;
using System.Text.RegularExpressions;
using Exporter.Kernel.Tests.Support;
using Exporter.Rules.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>From packets to what a person sees of them: the project's own rules and dashboards in the real programs.</summary>
public sealed partial class MonitoringTests(MonitoredNode node) : IClassFixture<MonitoredNode>
{
    [Fact]
    public async Task Handshakes_that_become_slow_are_told_to_whom_the_example_says_and_that_they_are_quick_again()
    {
        await node.Prometheus.QueryUntilAsync("""pod_role:podnet_tcp_handshake_duration_seconds:p99_rate5m{pod="web-0",role="client"}""", p99 => p99 < 0.5, () => { });

        node.DropFirstSyns();
        var firing = await node.Receiver.WaitForAsync(IsSlow);
        node.DropNothing();
        var resolved = await node.Receiver.WaitForAsync(alert => IsSlow(alert with { Status = "firing" }) && alert.Status == "resolved");

        Assert.Equal(("tickets", "warning", "client"), (firing.Receiver, firing.Labels["severity"], firing.Labels["role"]));
        Assert.Equal("TCP handshakes of shop/web-0 are slow.", firing.Annotations["summary"]);
        // Between the bounds of the buckets that a second is in.
        Assert.Matches(@"^As a client, one in a hundred TCP handshakes of shop/web-0 takes (1\.\d+s|\d+m?s) or longer\.", firing.Annotations["description"]);
        Assert.Equal("dashboards/runbooks/PodnetHandshakeSlow.md", firing.Annotations["runbook_url"]);
        Assert.Equal("tickets", resolved.Receiver);

        static bool IsSlow(ReceivedAlert alert) =>
            alert.Status == "firing" && alert.Labels["alertname"] == "PodnetHandshakeSlow" && alert.Labels["namespace"] == "shop" && alert.Labels["pod"] == "web-0";
    }

    [Fact]
    public async Task Every_query_of_every_panel_has_data() =>
        await AssertDataAsync(Dashboards.All.SelectMany(dashboard => dashboard.Queries).Select(query => (query.Panel, Fill(query.Expression))));

    [Fact]
    public async Task Every_variable_but_the_cluster_has_values()
    {
        var queries = Dashboards.All.SelectMany(dashboard => dashboard.Variables)
            .Where(variable => variable.GetProperty("type").GetString() == "query" && variable.GetProperty("name").GetString() != "cluster")
            .Select(variable => LabelValues().Match(variable.GetProperty("query").GetProperty("query").GetString()!));

        await AssertDataAsync(queries.Select(match => (match.Value, $"count by ({match.Groups["label"].Value}) ({Fill(match.Groups["metric"].Value)})")));
    }

    [Fact]
    public async Task Every_recording_rule_has_data_and_no_rule_fails()
    {
        var rules = new List<JsonElement>();
        await node.Prometheus.WaitUntilAsync(
            async () =>
            {
                using var answer = await node.Prometheus.GetAsync("rules");
                rules = [.. answer.RootElement.Clone().GetProperty("data").GetProperty("groups").EnumerateArray().SelectMany(group => group.GetProperty("rules").EnumerateArray())];
                return rules.Count > 0 && rules.All(rule => rule.GetProperty("health").GetString() == "ok");
            },
            () => $"There is a rule that was not evaluated: {string.Join('\n', rules.Where(rule => rule.GetProperty("health").GetString() != "ok"))}");

        await AssertDataAsync(rules.Where(rule => rule.GetProperty("type").GetString() == "recording").Select(rule => ("rule", Text(rule, "name"))));
    }

    /// <summary>An error counter that is zero is data: it is there, but for those of credentials and of the sink elasticsearch, which this node does not have.</summary>
    [Fact]
    public async Task Every_metric_that_an_alert_or_a_runbook_asks_for_is_there()
    {
        var texts = Directory.GetFiles(Path.Combine(Support.Repository.Root, "dashboards", "runbooks")).Select(File.ReadAllText)
            .Append(await File.ReadAllTextAsync(Path.Combine(Support.Repository.Root, "dashboards", "rules", "alerts.yaml")));

        var metrics = texts.SelectMany(text => Metric().Matches(text)).Select(match => match.Value).Distinct()
            .Except(["podnet_exporter_credential_reload_failures_total", "podnet_exporter_elasticsearch_rejected_records_total"])
            // Where series have the label workload, and where past.yaml is used with a day before it.
            .Where(metric => !metric.EndsWith("_1d", StringComparison.Ordinal))
            .ToList();

        Assert.True(metrics.Count > 30, string.Join(' ', metrics));
        await AssertDataAsync(metrics.Select(metric => ("metric", metric)));
    }

    private async Task AssertDataAsync(IEnumerable<(string Where, string Query)> queries)
    {
        var empty = queries.ToList();
        await node.Prometheus.WaitUntilAsync(
            async () =>
            {
                foreach (var asked in empty.ToList())
                {
                    if ((await node.Prometheus.QueryAsync(asked.Query)).Count > 0)
                    {
                        empty.Remove(asked);
                    }
                }
                return empty.Count == 0;
            },
            () => $"No data:\n{string.Join('\n', empty)}");
    }

    /// <summary>As Grafana fills in an expression where everything is selected.</summary>
    private static string Fill(string expression) => Selected().Replace(MonitoredNode.ShortenOffsets(expression.Replace("$__rate_interval", "10s", StringComparison.Ordinal)), ".*");

    private static string Text(JsonElement rule, string name) => rule.GetProperty(name).GetString()!;

    [GeneratedRegex(@"\$(cluster|instance|namespace|pod|workload)\b")]
    private static partial Regex Selected();

    [GeneratedRegex(@"^label_values\((?<metric>.*), (?<label>\w+)\)$")]
    private static partial Regex LabelValues();

    [GeneratedRegex(@"(?<![\w:.])(?:pod_\w+:|instance\w*:)?podnet_\w+(?::\w+)?(?![\w:*.-])")]
    private static partial Regex Metric();
}
