using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;

namespace Exporter.Chart.Tests;

/// <summary>What outlives the pods, how it is removed in the end, and options that change without a pod being made anew.</summary>
public sealed class ContinuityTests
{
    private const string HookNodes = "uninstall.nodes=3";

    [Fact]
    public void The_nodes_BPF_file_system_is_mounted_where_the_pins_are()
    {
        var pod = Helm.RenderWith().PodSpec;

        var mount = Assert.Single(pod["containers"]![0]!["volumeMounts"]!.AsArray(), found => (string?)found!["name"] == "bpf")!;
        Assert.Equal(("/sys/fs/bpf", "HostToContainer"), ((string?)mount["mountPath"], (string?)mount["mountPropagation"]));
        Assert.Null(mount["readOnly"]);
        var volume = Assert.Single(pod["volumes"]!.AsArray(), found => (string?)found!["name"] == "bpf")!;
        Assert.Equal(("/sys/fs/bpf", "Directory"), ((string?)volume["hostPath"]!["path"], (string?)volume["hostPath"]!["type"]));
    }

    [Fact]
    public void Without_pins_there_is_neither_a_mount_nor_a_hook()
    {
        var manifest = Helm.RenderWith("options.Bpf.PinDirectory=", HookNodes);

        Assert.Null(manifest.PodSpec["volumes"]);
        Assert.Null(manifest.PodSpec["containers"]![0]!["volumeMounts"]);
        Assert.DoesNotContain("Job", manifest.Kinds);
        Assert.Equal("", (string?)Environment(manifest.PodSpec, "PODNET__Bpf__PinDirectory")!["value"]);
    }

    [Fact]
    public void A_pod_on_every_node_removes_everything_before_the_release_is_deleted()
    {
        var manifest = Helm.RenderWith(HookNodes, "priorityClassName=high", "nodeSelector.pool=a");
        var job = manifest["Job"];

        Assert.Equal("pre-delete", (string?)job["metadata"]!["annotations"]!["helm.sh/hook"]);
        Assert.Equal((3, 3), ((int)job["spec"]!["completions"]!, (int)job["spec"]!["parallelism"]!));
        var pod = job["spec"]!["template"]!["spec"]!;
        var apart = Assert.Single(pod["affinity"]!["podAntiAffinity"]!["requiredDuringSchedulingIgnoredDuringExecution"]!.AsArray())!;
        Assert.Equal("kubernetes.io/hostname", (string?)apart["topologyKey"]);
        Assert.All(apart["labelSelector"]!["matchLabels"]!.AsObject(), label =>
            Assert.Equal((string?)label.Value, (string?)job["spec"]!["template"]!["metadata"]!["labels"]![label.Key]));
        Assert.Equal("uninstall", (string?)Assert.Single(pod["containers"]![0]!["args"]!.AsArray()));
        Assert.False((bool)pod["automountServiceAccountToken"]!);
        foreach (var same in (string[])["hostNetwork", "priorityClassName", "nodeSelector", "tolerations"])
        {
            Assert.True(JsonNode.DeepEquals(manifest.PodSpec[same], pod[same]), same);
        }
        foreach (var same in (string[])["image", "securityContext"])
        {
            Assert.True(JsonNode.DeepEquals(manifest.PodSpec["containers"]![0]![same], pod["containers"]![0]![same]), same);
        }
    }

    /// <summary>Else the Service and the monitors would ask it, and the DaemonSet take it for its own.</summary>
    [Fact]
    public void The_hook_s_pods_are_none_of_the_DaemonSet_s()
    {
        var manifest = Helm.RenderWith(HookNodes);
        var labels = manifest["Job"]["spec"]!["template"]!["metadata"]!["labels"]!;

        Assert.Contains(manifest["DaemonSet"]["spec"]!["selector"]!["matchLabels"]!.AsObject(), label => (string?)label.Value != (string?)labels[label.Key]);
    }

    [Theory]
    [InlineData]
    [InlineData(HookNodes, "uninstall.enabled=false")]
    public void The_hook_is_not_there_where_it_is_not_wanted_or_nobody_says_how_many_nodes_there_are(params string[] values) =>
        Assert.DoesNotContain("Job", Helm.RenderWith(values).Kinds);

    [Fact]
    public void Live_options_are_a_file_that_the_pods_read_when_it_changes()
    {
        var manifest = Helm.RenderScenario("live-options-values.yaml");

        var file = JsonNode.Parse((string)manifest["ConfigMap"]["data"]!["options.json"]!)!;
        Assert.Equal(("namespace;workload", "20000", "off"), ((string?)file["Metrics"]!["PodLabels"], (string?)file["Metrics"]!["MaxSeries"], (string?)file["Metrics"]!["Segments"]));
        Assert.Equal("00:00:02", (string?)file["Drain"]!["Interval"]);
        var mount = Assert.Single(manifest.PodSpec["containers"]![0]!["volumeMounts"]!.AsArray(), found => (string?)found!["name"] == "options")!;
        Assert.Null(mount["subPath"]);
        Assert.Equal($"{(string?)mount["mountPath"]}/options.json", (string?)Environment(manifest.PodSpec, "PODNET__Options__File")!["value"]);
        Assert.Equal((string?)manifest["ConfigMap"]["metadata"]!["name"], (string?)manifest.PodSpec["volumes"]!.AsArray().Single(found => (string?)found!["name"] == "options")!["configMap"]!["name"]);
    }

    [Fact]
    public void Another_value_of_a_live_option_makes_no_pod_anew() => Assert.True(JsonNode.DeepEquals(
        Helm.RenderWith("liveOptions.Drain.Interval=00:00:01").Pod, Helm.RenderWith("liveOptions.Drain.Interval=00:00:05").Pod));

    [Theory]
    [InlineData("liveOptions.Drain.Interval: is in options as well", "liveOptions.Drain.Interval=00:00:02", "options.Drain.Interval=00:00:01")]
    [InlineData("is another file of options", "liveOptions.Drain.Interval=00:00:02", "options.Options.File=/x")]
    [InlineData("is out of range", "liveOptions.Drain.Interval=00:00:00.01")]
    [InlineData("Bpf", "liveOptions.Bpf.MaxInterfaces=5")]
    [InlineData("Hook", "liveOptions.Attach.Hook=tcx")]
    [InlineData("PinDirectory", "options.Bpf.PinDirectory=/tmp/x")]
    [InlineData("ObjectHashes", "options.Bpf.ObjectHashes=abc")]
    [InlineData("nodes", "uninstall.nodes=-1")]
    public void What_cannot_be_is_refused(string reason, params string[] values) =>
        Assert.Contains(reason, Helm.Refuse([.. values.SelectMany(value => new[] { "--set", value })]), StringComparison.Ordinal);

    private static JsonNode? Environment(JsonNode pod, string name) => pod["containers"]![0]!["env"]!.AsArray().SingleOrDefault(found => (string?)found!["name"] == name);
}
