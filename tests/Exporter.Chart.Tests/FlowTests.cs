using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using static Exporter.Chart.Tests.Support.Json;

namespace Exporter.Chart.Tests;

/// <summary>What the pods need where flows are counted, and that others do not get it.</summary>
public sealed class FlowTests
{
    private const string Pods = "options.Edges.Classes=pods=10.244.0.0/16";
    private const string OnlyPods = """[{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]""";
    private const string Peers =
        """
        [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}, {"apiGroups": [""], "resources": ["services", "nodes"], "verbs": ["list", "watch"]},
         {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]
        """;

    [Theory]
    [InlineData(Peers, "options.Flows.Enabled=true", Pods)]
    [InlineData(Peers, "liveOptions.Flows.Enabled=true", Pods)]
    [InlineData(Peers, "options.Edges.Level=workload", Pods)]
    [InlineData(Peers, "options.Edges.Level=namespace", "liveOptions.Edges.Classes=pods=10.244.0.0/16")]
    [InlineData(OnlyPods, "options.Flows.Enabled=false", "options.Edges.Level=off", Pods)]
    [InlineData(OnlyPods, "options.Edges.Level=false", Pods)]
    [InlineData(OnlyPods, "options.Edges.MaxSeries=100")]
    public void The_role_has_Services_and_nodes_where_flows_or_edges_are_on(string rules, params string[] values) =>
        AssertJson(rules, Helm.RenderWith(values)["ClusterRole"]["rules"]!);

    [Theory]
    [InlineData("96Mi", "256Mi", Pods)]
    // 32,768 flows of 1.5 KiB.
    [InlineData("144Mi", "304Mi", Pods, "options.Flows.Enabled=true")]
    [InlineData("144Mi", "304Mi", Pods, "options.Edges.Level=workload")]
    // And 32 MiB of records.
    [InlineData("176Mi", "336Mi", Pods, "options.Flows.Enabled=true", "options.Export.Sinks=stdout")]
    [InlineData("256Mi", "416Mi", Pods, "options.Flows.Enabled=true", "options.Export.Sinks=stdout", "options.Flows.MaxFlows=65536", "options.Export.MaxMemory=64MiB")]
    [InlineData("160Mi", "320Mi", Pods, "options.Flows.Enabled=true", "options.Export.Sinks=stdout", "options.Export.MaxMemory=16777216")]
    [InlineData("1632Mi", "1792Mi", Pods, "liveOptions.Flows.Enabled=true", "liveOptions.Flows.MaxFlows=1048576")]
    // Values of one's own are taken as they are.
    [InlineData("200Mi", "1Gi", Pods, "options.Flows.Enabled=true", "resources.requests.memory=200Mi", "resources.limits.memory=1Gi")]
    [InlineData("144Mi", null, Pods, "options.Flows.Enabled=true", "resources.limits=null")]
    public void The_memory_of_flows_is_added_to_the_defaults(string request, string? limit, params string[] values)
    {
        var resources = Helm.RenderWith(values).Container["resources"]!;

        Assert.Equal((request, limit), ((string?)resources["requests"]!["memory"], (string?)resources["limits"]?["memory"]));
    }

    [Theory]
    [InlineData("""{"name": "records", "emptyDir": {}}""")]
    [InlineData("""{"name": "records", "emptyDir": {"sizeLimit": "2Gi"}}""", "records.sizeLimit=2Gi")]
    [InlineData("""{"name": "records", "hostPath": {"path": "/var/log/flows", "type": "DirectoryOrCreate"}}""", "records.hostPath=/var/log/flows", "records.sizeLimit=2Gi")]
    public void The_sink_file_has_a_volume_at_its_directory(string volume, params string[] values)
    {
        var manifest = Helm.RenderWith([Pods, "options.Flows.Enabled=true", "options.Export.Sinks=stdout\\,file", "options.File.Path=/var/lib/podnet/flows.json", .. values]);

        AssertJson(volume, manifest.Volume("records")!);
        AssertJson("""{"name": "records", "mountPath": "/var/lib/podnet"}""", manifest.Mount("records")!);
    }

    [Theory]
    [InlineData("options.Flows.Enabled=true", "options.Export.Sinks=stdout", "options.File.Path=/var/lib/podnet/flows.json")]
    [InlineData("options.Export.Sinks=file", "options.File.Path=/var/lib/podnet/flows.json")]
    [InlineData("options.Flows.Enabled=true", "options.Export.Sinks=file", "options.File.Path=/data/flows/flows.json", "extraVolumeMounts[0].name=d", "extraVolumeMounts[0].mountPath=/data/")]
    public void It_has_none_where_it_is_not_used_or_the_directory_is_mounted_already(params string[] values)
    {
        var manifest = Helm.RenderWith([Pods, .. values]);

        Assert.Null(manifest.Volume("records"));
        Assert.Null(manifest.Mount("records"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true, "records.hostPath=/var/log/flows")]
    public void OpenShift_allows_a_directory_of_the_node_where_there_is_one(bool isAllowed, params string[] values)
    {
        var manifest = Helm.RenderWith(
            [Pods, "options.Flows.Enabled=true", "options.Export.Sinks=file", "options.File.Path=/r/flows.json", "options.Bpf.PinDirectory=", "openshift.securityContextConstraints=true", .. values]);

        Assert.Equal(isAllowed, (bool?)manifest["SecurityContextConstraints"]["allowHostDirVolumePlugin"]);
        Assert.Equal(isAllowed, manifest["SecurityContextConstraints"]["volumes"]!.AsArray().Any(volume => (string?)volume == "hostPath"));
    }

    [Fact]
    public void A_mount_beside_the_directory_does_not_take_its_place() => Assert.NotNull(
        Helm.RenderWith(
            Pods, "options.Flows.Enabled=true", "options.Export.Sinks=file", "options.File.Path=/data-flows/flows.json", "extraVolumeMounts[0].name=d", "extraVolumeMounts[0].mountPath=/data").Mount("records"));

    [Theory]
    [InlineData("options.Edges.Classes: does not say which addresses pods have", "options.Flows.Enabled=true")]
    [InlineData("options.Edges.Classes: does not say which addresses pods have", "options.Edges.Level=workload", "options.Edges.Classes=mypods=10.0.0.0/8")]
    [InlineData("options.Export.Sinks: has file, and options.File.Path is not set", "options.Flows.Enabled=true", Pods, "options.Export.Sinks={file}")]
    [InlineData("options.File.Path: its directory is mounted", "options.Flows.Enabled=true", Pods, "options.Export.Sinks=file", "options.File.Path=/flows.json")]
    public void Options_that_the_exporter_would_not_start_with_are_refused(string message, params string[] values) =>
        Assert.Contains(message, Helm.Refuse([.. Helm.Set(values)]), StringComparison.Ordinal);

    [Theory]
    [InlineData("extraArgs={--Edges:Classes=pods=10.0.0.0/8}")]
    [InlineData("options.Options.File=/f")]
    [InlineData("options.Edges.Classes={partners=192.0.2.0/24,pods = 10.0.0.0/8}")]
    public void The_pods_class_may_come_from_elsewhere(string value) => Assert.NotNull(Helm.RenderWith("options.Flows.Enabled=true", value)["DaemonSet"]);

    [Fact]
    public void Flows_need_no_more_capabilities_and_no_other_NetworkPolicy()
    {
        var (without, with) = (Helm.RenderWith("networkPolicy.enabled=true"), Helm.RenderWith("networkPolicy.enabled=true", "options.Flows.Enabled=true", Pods));

        Assert.Equal(without.AddedCapabilities, with.AddedCapabilities);
        Assert.True(JsonNode.DeepEquals(without["NetworkPolicy"], with["NetworkPolicy"]));
    }
}
