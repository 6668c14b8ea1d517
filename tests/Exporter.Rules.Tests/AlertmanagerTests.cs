using System.Text.RegularExpressions;
using Exporter.Rules.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Exporter.Rules.Tests;

/// <summary>dashboards/alertmanager-example.yml, by Alertmanager's own tool.</summary>
public sealed class AlertmanagerTests
{
    private static readonly string Example = Path.Combine(Repository.Dashboards, "alertmanager-example.yml");

    [Fact]
    public void The_example_passes_amtool()
    {
        var (exitCode, output, error) = Repository.Run("amtool", "check-config", Example);

        Assert.True(exitCode == 0, output + error);
    }

    [Theory]
    [InlineData("pager", "alertname=PodnetNamespaceHandshakesSlow", "severity=critical")]
    [InlineData("tickets", "alertname=PodnetHandshakeSlow", "severity=warning")]
    [InlineData("none", "alertname=PodnetNothingAttached", "severity=info")]
    [InlineData("tickets", "alertname=NodeFilesystemFull", "severity=critical")]
    public void An_alert_goes_where_its_severity_says(string receiver, params string[] labels)
    {
        var (exitCode, output, _) = Repository.Run("amtool", ["config", "routes", "test", $"--config.file={Example}", .. labels]);

        Assert.Equal((0, receiver), (exitCode, output.Trim()));
    }

    /// <summary>Only the watch of pods has to do with traffic that is not attributed, and with an exporter that does not know its pods.</summary>
    [Fact]
    public void A_watch_of_other_things_than_pods_mutes_nothing_and_is_not_muted()
    {
        var rules = Yaml.LoadFile(Example).List("inhibit_rules").Where(rule => Matchers(rule, "target_matchers").All(matcher => !matcher.Contains("\"Podnet.+\"", StringComparison.Ordinal)));
        var sides = rules.SelectMany(rule => new[] { Matchers(rule, "source_matchers"), Matchers(rule, "target_matchers") })
            .Where(matchers => matchers.Any(matcher => matcher.Contains("PodnetWatchDown", StringComparison.Ordinal))).ToList();

        Assert.NotEmpty(sides);
        Assert.All(sides, matchers => Assert.Contains(matchers, matcher => matcher is "resource = pods" or "resource =~ \"pods|\""));

        static List<string> Matchers(YamlNode rule, string side) => [.. rule.List(side).Select(matcher => ((YamlScalarNode)matcher).Value!)];
    }

    [Fact]
    public void Every_alert_that_it_names_is_one() => Assert.All(
        Regex.Matches(File.ReadAllText(Example).Replace("(Namespace|Workload)", "Namespace", StringComparison.Ordinal), "Podnet[A-Za-z]+").Select(match => match.Value).Distinct(),
        name => Assert.Contains(RuleFiles.Alerts, alert => alert.Alert == name));
}
