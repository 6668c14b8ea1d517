using System.Text.RegularExpressions;
using Exporter.Rules.Tests.Support;

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

    [Fact]
    public void Every_alert_that_it_names_is_one() => Assert.All(
        Regex.Matches(File.ReadAllText(Example).Replace("(Namespace|Workload)", "Namespace", StringComparison.Ordinal), "Podnet[A-Za-z]+").Select(match => match.Value).Distinct(),
        name => Assert.Contains(RuleFiles.Alerts, alert => alert.Alert == name));
}
