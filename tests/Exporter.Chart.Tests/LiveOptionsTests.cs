using System.Text;
using Exporter.Chart.Tests.Support;
using Exporter.Commands;
using Exporter.Options;
using Microsoft.Extensions.Configuration;
using static Exporter.Chart.Tests.Support.Json;

namespace Exporter.Chart.Tests;

/// <summary>Options in a ConfigMap, which can change without a restart, and BPF programs in another.</summary>
public sealed class LiveOptionsTests
{
    private const string Scenario = "live-options-values.yaml";

    [Fact]
    public void They_are_the_file_that_the_program_is_told_of()
    {
        var manifest = Helm.RenderWith();

        AssertJson("""{"name": "options", "configMap": {"name": "r-podnet-exporter-options"}}""", manifest.Volume("options"));
        // Without subPath: the kubelet never changes such a mount.
        AssertJson("""{"name": "options", "mountPath": "/etc/podnet-exporter/options", "readOnly": true}""", manifest.Mount("options"));
        Assert.Equal("r-podnet-exporter-options", (string?)manifest["ConfigMap"]["metadata"]!["name"]);
        Assert.Equal($"/etc/podnet-exporter/options/{Assert.Single(manifest["ConfigMap"]["data"]!.AsObject()).Key}", manifest.Environment["PODNET__Options__File"]);
    }

    [Fact]
    public void The_program_reads_each_of_them()
    {
        var settings = new ConfigurationBuilder().AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(FileOf(Helm.RenderScenario(Scenario))))).Build();

        var reader = new OptionReader(settings);
        var options = ExporterOptions.Read(reader);

        Assert.Empty(reader.Errors);
        Assert.Equal("^(vethx|<none>)", options.Attach.Exclude?.ToString());
        Assert.Equal((TimeSpan.FromMinutes(5), 1_000_000), (options.Metrics.Retention, options.Metrics.MaxSeries));
        Assert.Equal("00:00:01", $"{options.Drain.Interval}");
        Assert.Equal(("0.00005;0.001;10", "off"), (settings["Handshake:Buckets"], settings["Metrics:PacketSizes"]));
        Assert.Equal("namespace;workload;label:app.kubernetes.io/name", settings["Metrics:PodLabels"]);
        Assert.Equal("Debug", settings["Logging:LogLevel:Default"]);
    }

    [Fact]
    public void Without_any_the_file_is_there_so_that_the_first_one_needs_no_restart() => AssertJson("{}", System.Text.Json.Nodes.JsonNode.Parse(FileOf(Helm.RenderWith())));

    [Fact]
    public void Another_one_changes_nothing_in_the_pods()
    {
        var (before, after) = (Helm.RenderWith(), Helm.RenderWith("liveOptions.Drain.Interval=00:00:05"));

        Assert.NotEqual(FileOf(before), FileOf(after));
        AssertJson(before["DaemonSet"].ToJsonString(), after["DaemonSet"]);
    }

    [Theory]
    [InlineData("options.Options.File=/etc/mine.json")]
    [InlineData("options.Options.File=")]
    public void With_a_file_of_one_s_own_or_none_there_is_no_ConfigMap(string value)
    {
        var manifest = Helm.RenderWith(value);

        Assert.DoesNotContain("ConfigMap", manifest.Kinds);
        Assert.Null(manifest.Volume("options"));
        Assert.Null(manifest.Mount("options"));
        Assert.Equal(value.Split('=')[1], manifest.Environment["PODNET__Options__File"]);
    }

    [Fact]
    public void BPF_programs_are_mounted_where_the_program_looks_for_them()
    {
        var manifest = Helm.RenderWith("bpfObjects.existingConfigMap=objects");

        AssertJson("""{"name": "bpf-objects", "configMap": {"name": "objects"}}""", manifest.Volume("bpf-objects"));
        AssertJson("""{"name": "bpf-objects", "mountPath": "/etc/podnet-exporter/bpf", "readOnly": true}""", manifest.Mount("bpf-objects"));
        Assert.Equal("/etc/podnet-exporter/bpf", manifest.Environment["PODNET__Bpf__ObjectDirectory"]);

        Assert.Null(Helm.RenderWith().Volume("bpf-objects"));
        Assert.DoesNotContain("PODNET__Bpf__ObjectDirectory", Helm.RenderWith().Environment.Keys);
    }

    private static string FileOf(Manifest manifest) => (string)manifest["ConfigMap"]["data"]!["options.json"]!;
}
