using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using static Exporter.Chart.Tests.Support.Json;

namespace Exporter.Chart.Tests;

/// <summary>What outlives the exporter on a node, and the hook that removes it before the release is deleted.</summary>
public sealed class PinTests
{
    public static TheoryData<string> Scenarios => [.. Helm.Scenarios];

    [Theory]
    [InlineData(true)]
    [InlineData(true, "options.Bpf.PinDirectory=/sys/fs/bpf/other")]
    [InlineData(false, "options.Bpf.PinDirectory=")]
    public void The_host_s_BPF_file_system_is_mounted_where_there_are_pins(bool isMounted, params string[] values)
    {
        var manifest = Helm.RenderWith(values);

        if (isMounted)
        {
            AssertJson("""{"name": "bpffs", "hostPath": {"path": "/sys/fs/bpf", "type": "Directory"}}""", manifest.Volume("bpffs"));
            AssertJson("""{"name": "bpffs", "mountPath": "/sys/fs/bpf"}""", manifest.Mount("bpffs"));
        }
        else
        {
            Assert.Null(manifest.Volume("bpffs"));
            Assert.Null(manifest.Mount("bpffs"));
            Assert.Null(manifest.SecurityContext["appArmorProfile"]);
        }
    }

    [Fact]
    public void Pods_need_no_volume_at_all()
    {
        var manifest = Helm.RenderWith("options.Bpf.PinDirectory=", "options.Options.File=");

        Assert.Null(manifest.PodSpec["volumes"]);
        Assert.Null(manifest.Container["volumeMounts"]);
    }

    [Theory]
    [InlineData("\"unconfined\"")]
    [InlineData("\"runtime/default\"", "appArmorProfile.type=RuntimeDefault")]
    [InlineData("\"localhost/podnet\"", "appArmorProfile.type=Localhost", "appArmorProfile.localhostProfile=podnet")]
    [InlineData("null", "options.Bpf.PinDirectory=")]
    public void Before_Kubernetes_1_30_the_profile_of_AppArmor_is_an_annotation(string profile, params string[] values)
    {
        var manifest = Helm.RenderFor("1.29.0", ["uninstall.enabled=true", "uninstall.nodes=1", "podAnnotations.a=b", .. values]);

        Assert.Null(manifest.SecurityContext["appArmorProfile"]);
        AssertJson(profile, manifest.Pod["metadata"]!["annotations"]!["container.apparmor.security.beta.kubernetes.io/exporter"]);
        if (manifest.Kinds.Contains("Job"))
        {
            AssertJson(profile, manifest["Job"]["spec"]!["template"]!["metadata"]!["annotations"]!["container.apparmor.security.beta.kubernetes.io/uninstall"]);
        }
        Assert.Null(Helm.RenderFor("1.30.0", "uninstall.enabled=true", "uninstall.nodes=1").Pod["metadata"]!["annotations"]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true, "uninstall.enabled=true", "uninstall.nodes=3")]
    [InlineData(false, "uninstall.enabled=true", "uninstall.nodes=3", "uninstall.enabled=false")]
    [InlineData(false, "uninstall.enabled=true", "uninstall.nodes=3", "options.Bpf.PinDirectory=")]
    public void The_hook_is_there_where_there_are_pins_and_nodes(bool isThere, params string[] values) =>
        Assert.Equal(isThere, Helm.RenderWith(values).Kinds.Contains("Job"));

    [Theory]
    [InlineData(true)]
    [InlineData(true, "uninstall.enabled=true", "uninstall.nodes=3")]
    [InlineData(true, "serviceAccount.create=false", "serviceAccount.name=mine")]
    [InlineData(false, "rbac.create=false")]
    [InlineData(false, "options.Bpf.PinDirectory=")]
    [InlineData(false, "options.Identity.Source=standalone")]
    [InlineData(false, "options.Kubernetes.Kubeconfig=/etc/kubeconfig")]
    public void The_exporters_may_ask_for_their_own_DaemonSet_where_there_are_pins(bool isThere, params string[] values) =>
        Assert.Equal(isThere, Helm.RenderWith(values).Kinds.Contains("Role"));

    [Fact]
    public void What_lets_exporters_ask_allows_nothing_else_and_outlives_the_release()
    {
        var manifest = Helm.RenderWith("fullnameOverride=mine", "serviceAccount.annotations.a=b");

        AssertJson("[{\"apiGroups\": [\"apps\"], \"resources\": [\"daemonsets\"], \"resourceNames\": [\"mine\"], \"verbs\": [\"get\"]}]", manifest["Role"]["rules"]);
        Assert.Equal("mine", (string?)manifest["DaemonSet"]["metadata"]!["name"]);
        AssertJson("{\"apiGroup\": \"rbac.authorization.k8s.io\", \"kind\": \"Role\", \"name\": \"mine-unpin\"}", manifest["RoleBinding"]["roleRef"]);
        Assert.Equal("mine", (string?)manifest["RoleBinding"]["subjects"]![0]!["name"]);
        Assert.Equal("mine", (string?)manifest.PodSpec["serviceAccountName"]);
        foreach (var kind in (string[])["Role", "RoleBinding", "ServiceAccount"])
        {
            Assert.Equal("keep", (string?)manifest[kind]["metadata"]!["annotations"]!["helm.sh/resource-policy"]);
        }
        Assert.Equal("b", (string?)manifest["ServiceAccount"]["metadata"]!["annotations"]!["a"]);
        Assert.Contains(manifest.Container["env"]!.AsArray(), variable => (string?)variable!["name"] == "POD_UID"
            && (string?)variable["valueFrom"]!["fieldRef"]!["fieldPath"] == "metadata.uid");
    }

    [Fact]
    public void Without_pins_nothing_outlives_the_release() =>
        Assert.Null(Helm.RenderWith("options.Bpf.PinDirectory=")["ServiceAccount"]["metadata"]!["annotations"]);

    [Fact]
    public void The_hook_uninstalls_on_every_node_before_anything_is_deleted()
    {
        var job = Helm.RenderWith("uninstall.enabled=true", "uninstall.nodes=3", "uninstall.timeoutSeconds=60")["Job"];

        AssertJson("""{"helm.sh/hook": "pre-delete", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}""", job["metadata"]!["annotations"]);
        Assert.Equal((3, 3, 60 + 30), ((int)job["spec"]!["completions"]!, (int)job["spec"]!["parallelism"]!, (int)job["spec"]!["activeDeadlineSeconds"]!));
        var pod = job["spec"]!["template"]!["spec"]!;
        Assert.Equal("OnFailure", (string?)pod["restartPolicy"]);
        Assert.False((bool?)pod["automountServiceAccountToken"]);
        AssertJson(
            """
            [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule", "nodeTaintsPolicy": "Honor",
              "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "podnet-exporter-uninstall", "app.kubernetes.io/instance": "r"}}}]
            """,
            pod["topologySpreadConstraints"]);
    }

    /// <summary>The scheduler does not count a pod that has ended, so that its node would get a second one before another node has its first.</summary>
    [Theory]
    [InlineData(1, 30)]
    [InlineData(300, 30)]
    [InlineData(5000, 500)]
    public void The_hook_s_pods_stay_until_the_last_one_has_a_node(int nodes, int seconds)
    {
        var job = Helm.RenderWith("uninstall.enabled=true", $"uninstall.nodes={nodes}")["Job"];

        AssertJson($"""["uninstall", "--stay={seconds}"]""", job["spec"]!["template"]!["spec"]!["containers"]![0]!["args"]);
        Assert.Equal(240 + seconds, (int)job["spec"]!["activeDeadlineSeconds"]!);
    }

    [Fact]
    public void The_hook_s_pods_spread_among_themselves_and_are_none_of_the_Service_s()
    {
        var manifest = Helm.RenderWith("uninstall.enabled=true", "uninstall.nodes=3");

        var template = manifest["Job"]["spec"]!["template"]!;
        Assert.True(Matches(template["spec"]!["topologySpreadConstraints"]![0]!["labelSelector"]!["matchLabels"]!, template));
        Assert.False(Matches(template["spec"]!["topologySpreadConstraints"]![0]!["labelSelector"]!["matchLabels"]!, manifest.Pod));
        Assert.False(Matches(manifest["Service"]["spec"]!["selector"]!, template));
        Assert.False(Matches(manifest["DaemonSet"]["spec"]!["selector"]!["matchLabels"]!, template));

        static bool Matches(JsonNode selector, JsonNode pod) => selector.AsObject().All(wanted => (string?)pod["metadata"]!["labels"]![wanted.Key] == (string?)wanted.Value);
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void The_hook_s_pods_run_where_and_as_the_DaemonSet_s_do(string scenario)
    {
        var manifest = Helm.RenderScenario(scenario, "uninstall.enabled=true", "uninstall.nodes=3");

        var pod = manifest["Job"]["spec"]!["template"]!["spec"]!;
        var container = Assert.Single(pod["containers"]!.AsArray())!;
        AssertSame(
            manifest.PodSpec, pod, ["containers", "volumes", "automountServiceAccountToken", "terminationGracePeriodSeconds", "restartPolicy", "topologySpreadConstraints", "tolerations"]);
        AssertSame(manifest.Container, container, ["name", "args", "env", "envFrom", "ports", "volumeMounts", "startupProbe", "livenessProbe", "readinessProbe"]);
        AssertJson($"[{manifest.Volume("bpffs")!.ToJsonString()}]", pod["volumes"]);
        AssertJson($"[{manifest.Mount("bpffs")!.ToJsonString()}]", container["volumeMounts"]);
    }

    /// <summary>A LimitRange with a least request, or a ratio of limit and request, lets in what it lets in of the DaemonSet.</summary>
    [Theory]
    [InlineData("resources.requests.cpu=100m", "resources.limits.cpu=200m")]
    [InlineData("resources.requests=null", "resources.limits=null")]
    [InlineData("resources=null")]
    public void A_LimitRange_that_lets_the_DaemonSet_s_pods_in_lets_the_hook_s_in(params string[] values)
    {
        var manifest = Helm.RenderWith(["uninstall.enabled=true", "uninstall.nodes=3", .. values]);

        AssertJson(manifest.Container["resources"]?.ToJsonString() ?? "null", manifest["Job"]["spec"]!["template"]!["spec"]!["containers"]![0]!["resources"]);
    }

    /// <summary>Where the DaemonSet's controller leaves a pod, whatever the values say.</summary>
    [Theory]
    [InlineData("""{"operator": "Exists", "effect": "NoSchedule"}""")]
    [InlineData(
        """{"operator": "Exists", "effect": "NoSchedule"}""",
        "tolerations[0].operator=Exists", "tolerations[0].effect=NoExecute", "tolerations[1].operator=Exists", "tolerations[1].effect=NoSchedule")]
    [InlineData("""{"key": "dedicated", "operator": "Exists"}""", "tolerations[0].key=dedicated", "tolerations[0].operator=Exists")]
    [InlineData(
        """{"operator": "Exists", "effect": "NoSchedule"}, {"key": "etcd", "operator": "Exists", "effect": "NoExecute"}""",
        "tolerations[0].operator=Exists", "tolerations[1].key=etcd", "tolerations[1].operator=Exists", "tolerations[1].effect=NoExecute")]
    [InlineData(
        """{"key": "a", "value": "b"}""",
        "tolerations[0].key=node.kubernetes.io/not-ready", "tolerations[0].operator=Exists", "tolerations[1].key=node.kubernetes.io/unreachable",
        "tolerations[1].operator=Exists", "tolerations[1].effect=NoSchedule", "tolerations[2].key=a", "tolerations[2].value=b")]
    public void The_hook_s_pods_also_run_on_nodes_that_have_troubles_but_not_on_one_that_is_down(string tolerations, params string[] values)
    {
        var pod = Helm.RenderWith(["uninstall.enabled=true", "uninstall.nodes=3", .. values])["Job"]["spec"]!["template"]!["spec"]!;

        string[] troubles = ["unschedulable", "disk-pressure", "memory-pressure", "pid-pressure", "network-unavailable"];
        // The API server would add two others with the operator Exists where these were missing.
        string[] down = ["not-ready", "unreachable"];
        var expected = troubles.Select(trouble => $$"""{"key": "node.kubernetes.io/{{trouble}}", "operator": "Exists"}""")
            .Concat(down.Select(state => $$"""{"key": "node.kubernetes.io/{{state}}", "operator": "Equal", "value": "none", "effect": "NoExecute"}"""));
        AssertJson($"[{string.Join(", ", expected)}, {tolerations}]", pod["tolerations"]);
    }

    [Theory]
    [InlineData("""[{"name": "PODNET__Bpf__PinDirectory", "value": "/sys/fs/bpf/podnet"}]""")]
    [InlineData(
        """[{"name": "PODNET__Bpf__PinDirectory", "value": "/sys/fs/bpf/other"}]""",
        "options.Bpf.PinDirectory=/sys/fs/bpf/other", "options.Attach.Priority=20", "liveOptions.Attach.Hook=clsact", "options.Bpf.ObjectDirectory=/d", "options.Server.CertificateFile=/c")]
    public void The_hook_knows_what_there_is_to_remove_and_no_file_that_it_does_not_have(string environment, params string[] values) =>
        AssertJson(environment, Helm.RenderWith(["uninstall.enabled=true", "uninstall.nodes=1", .. values])["Job"]["spec"]!["template"]!["spec"]!["containers"]![0]!["env"]);

    [Theory]
    [InlineData(3, "uninstall.enabled=true")]
    [InlineData(2, "uninstall.enabled=true", @"nodeSelector.example\.com/pods=many")]
    [InlineData(7, "uninstall.enabled=true", "uninstall.nodes=7")]
    public async Task The_nodes_that_the_DaemonSet_selects_are_counted(int count, params string[] values)
    {
        await using var server = await NodeServer.StartAsync(
            """{"kubernetes.io/os": "linux", "example.com/pods": "many"}""",
            """{"kubernetes.io/os": "linux", "example.com/pods": "many"}""",
            """{"kubernetes.io/os": "linux"}""",
            """{"kubernetes.io/os": "windows", "example.com/pods": "many"}""");

        var manifest = RenderOn(server, values);

        Assert.Equal(count, (int?)manifest["Job"]["spec"]!["completions"]);
    }

    [Theory]
    [InlineData(true, "uninstall.enabled=true")]
    [InlineData(false, "uninstall.enabled=true", "uninstall.nodes=7")]
    [InlineData(false, "uninstall.enabled=false")]
    [InlineData(false, "options.Bpf.PinDirectory=")]
    public async Task Who_may_not_list_nodes_can_do_without(bool isAsked, params string[] values)
    {
        await using var server = await NodeServer.StartAsync();

        _ = RenderOn(server, values);

        Assert.Equal(isAsked, server.IsAskedForNodes);
    }

    [Theory]
    [InlineData(63)]
    [InlineData(53)]
    public void Names_of_the_hook_are_no_longer_than_a_label_can_be(int length)
    {
        var job = Helm.RenderWith("uninstall.enabled=true", "uninstall.nodes=1", $"nameOverride={new string('n', length)}", $"fullnameOverride={new string('f', length)}")["Job"];

        Assert.Equal(63, ((string)job["metadata"]!["name"]!).Length);
        Assert.Equal(63, ((string)job["spec"]!["template"]!["metadata"]!["labels"]!["app.kubernetes.io/name"]!).Length);
    }

    private static Manifest RenderOn(NodeServer server, string[] values)
    {
        string[] others = ["rbac.create=false", "service.enabled=false", "serviceAccount.create=false"];
        var (exitCode, output, error) = Helm.Run(
            ["template", Helm.Release, Helm.Chart, "--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", server.Url, .. Helm.Set([.. others, .. values])]);
        Assert.True(exitCode == 0, error);
        return new(Yaml.Parse(output));
    }

    private static void AssertSame(JsonNode expected, JsonNode actual, string[] except)
    {
        foreach (var key in expected.AsObject().Concat(actual.AsObject()).Select(field => field.Key).Distinct().Except(except))
        {
            AssertJson(expected[key]?.ToJsonString() ?? "null", actual[key]);
        }
    }
}
