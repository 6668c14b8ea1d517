using System.Text.RegularExpressions;
using Exporter.Commands;
using Exporter.Edges;
using Exporter.Export;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Peers;
using Exporter.Replacement;
using Exporter.Server;
using Exporter.Server.Security;
using Exporter.Signals.Flows;
using Exporter.Signals.Uplinks;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>docs/metrics.md, and what podnet-exporter metrics prints, have the metrics that there are, and no others.</summary>
public sealed partial class MetricDocumentationTests
{
    [Fact]
    public void The_documentation_is_what_the_program_prints()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "metrics.md"));
        var generated = text[(text.IndexOf("-->\n\n", StringComparison.Ordinal) + 5)..];

        Assert.True(
            MetricsText.Write(TestOptions.Read()) + "\n" == generated, "docs/metrics.md is out of date: run 'make docs'");
    }

    [Fact]
    public async Task Every_family_that_is_made_is_listed_with_its_type_and_help_and_no_other()
    {
        using var node = new CountingNode();
        _ = new KubernetesMetrics(node.Factory);
        _ = new BpfMetrics(node.Factory, [], []);
        _ = new ObjectStatusBoard(node.Options.Bpf, node.Factory, node.Options.Signals);
        _ = new ServerRefusals(node.Factory);
        new HookMetrics(node.Factory, node.Options.Signals).Show("tcx", []);
        _ = new UplinkMetrics(node.Factory);
        _ = new FlowMetrics(node.Factory);
        _ = new ExportMetrics(node.Factory, "file");
        _ = new Export.Elasticsearch.ElasticsearchMetrics(node.Factory);
        _ = new EdgeMetrics(node.Factory);
        _ = new PeerMetrics(node.Factory);
        new Health.Readiness(ProcessMetrics.Ready.CreateGauge(node.Factory)).MarkReady("pods");
        _ = new SecretFiles(node.Factory, node.Time, new RecordingLogger<SecretFiles>()).Open("tls", "Server:KeyFile", [], texts => texts);
        _ = new LiveOptions(OptionFiles.Read(new Dictionary<string, string?>()), node.Options, node.Time, node.Factory, new RecordingLogger<LiveOptions>());
        var exposition = node.WritePods() + await ScrapedText.WriteAsync(node.Registry);
        var made = Type().Matches(exposition).Select(match => (match.Groups[1].Value, match.Groups[2].Value));

        var listed = Families().Select(family => (family.Name, family.Type.ToString().ToLowerInvariant()));

        Assert.Equal(made.Order(), listed.Order());
        Assert.All(Families(), family => Assert.Contains($"# HELP {family.Name} {family.Help}\n", exposition, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_family_has_a_help_a_unit_and_a_query_of_its_own() => Assert.All(Families(), family =>
    {
        Assert.EndsWith(".", family.Help, StringComparison.Ordinal);
        Assert.NotEmpty(family.Unit);
        Assert.Contains(family.Name, family.Query, StringComparison.Ordinal);
    });

    /// <summary>As https://prometheus.io/docs/practices/naming/ wants it.</summary>
    [Fact]
    public void Names_end_as_their_type_and_unit_want_it() => Assert.All(Families(), family =>
    {
        Assert.Equal(family.Type == MetricType.Counter, family.Name.EndsWith("_total", StringComparison.Ordinal));
        Assert.True(family.Unit is not ("seconds" or "bytes" or "packets") || family.Name.Contains($"_{family.Unit}", StringComparison.Ordinal), family.Name);
    });

    [Fact]
    public void The_cost_of_other_options_is_printed_as_well()
    {
        var text = MetricsText.Write(TestOptions.Read(("Metrics:Handshakes", "namespace"), ("Metrics:Segments", "off"), ("Metrics:MaxSeries", "2000")));

        Assert.Contains("At most 40 sample lines for each pod: ", text, StringComparison.Ordinal);
        Assert.Contains("At most 60 sample lines for each namespace: ", text, StringComparison.Ordinal);
        Assert.Contains("- labels: namespace, role (client, server)\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("segments_total", text, StringComparison.Ordinal);
        Assert.Contains("Of the 2000 of `Metrics:MaxSeries`, 160 are set aside", text, StringComparison.Ordinal);
    }

    private static IEnumerable<MetricDefinition> Families()
    {
        var options = TestOptions.Read();
        return [.. options.CreatePlan().Levels.SelectMany(level => level.Families), .. AllFamilies.OfExporter(options.Signals), .. AllFamilies.OfKubernetes];
    }

    [GeneratedRegex("^# TYPE (\\S+) (\\S+)$", RegexOptions.Multiline)]
    private static partial Regex Type();
}
