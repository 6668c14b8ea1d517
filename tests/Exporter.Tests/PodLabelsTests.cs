using Exporter.Kubernetes;
using Exporter.Pods;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>How pods are shown, and who is left out.</summary>
public sealed class PodLabelsTests
{
    private const string All = "workload;label:app.kubernetes.io/name;pod;node;namespace;workload_kind";

    private static readonly PodDescription Web = new("shop", "web-7f9c-x2x4z")
    {
        Workload = "web",
        WorkloadKind = "Deployment",
        Labels = new Dictionary<string, string> { ["app.kubernetes.io/name"] = "storefront", ["tier"] = "front" },
    };

    [Fact]
    public void Without_any_setting_a_pod_is_its_namespace_and_name()
    {
        var labels = Read();

        Assert.Equal(["namespace", "pod"], labels.Names);
        Assert.Equal(["shop", "web-7f9c-x2x4z"], labels.Identify(Web).Labels.Values);
    }

    [Fact]
    public void Labels_are_those_of_the_option_in_its_order()
    {
        var labels = Read(("Metrics:PodLabels", All), ("Kubernetes:NodeName", "worker-1"));

        Assert.Equal(["workload", "label_app_kubernetes_io_name", "pod", "node", "namespace", "workload_kind"], labels.Names);
        Assert.Equal(["web", "storefront", "web-7f9c-x2x4z", "worker-1", "shop", "Deployment"], labels.Identify(Web).Labels.Values);
    }

    /// <summary>The expected names are those that kube-state-metrics gives pods with these labels (kube_pod_labels).</summary>
    [Theory]
    [InlineData("app", "label_app")]
    [InlineData("appName", "label_app_name")]
    [InlineData("AppName", "label_app_name")]
    [InlineData("APIServer", "label_apiserver")]
    [InlineData("k8sApp", "label_k8s_app")]
    [InlineData("v2Beta", "label_v2_beta")]
    [InlineData("snake_camelCase", "label_snake_camel_case")]
    [InlineData("app.kubernetes.io/partOf", "label_app_kubernetes_io_part_of")]
    [InlineData("example.com/a-B.c", "label_example_com_a_b_c")]
    [InlineData("1", "label_1")]
    public void A_pods_own_label_has_the_name_that_kube_state_metrics_gives_it(string key, string name) =>
        Assert.Equal([name], Read(("Metrics:PodLabels", $"label:{key}")).Names);

    [Theory]
    [InlineData("label:a/b;label:a.b", "label_a_b_conflict2 label_a_b_conflict1")]
    [InlineData("label:conflicting_camel_case;label:conflicting_camelCase", "label_conflicting_camel_case_conflict2 label_conflicting_camel_case_conflict1")]
    [InlineData("label:app;namespace;label:App;label:APP;label:tier", "label_app_conflict3 namespace label_app_conflict2 label_app_conflict1 label_tier")]
    [InlineData("label:a/b;label:a.b;label:a.b.conflict1", "label_a_b_conflict3 label_a_b_conflict2 label_a_b_conflict1")]
    [InlineData("label:x;label:X;label:x_conflict1;label:x.conflict1", "label_x_conflict3 label_x_conflict2 label_x_conflict1_conflict2 label_x_conflict1_conflict1")]
    public void Labels_of_the_same_name_are_numbered_in_the_order_of_their_keys(string option, string names) =>
        Assert.Equal(names.Split(' '), Read(("Metrics:PodLabels", option)).Names);

    [Fact]
    public void Labels_of_the_same_name_keep_their_own_values()
    {
        var labels = Read(("Metrics:PodLabels", "label:app-name;label:appName"));
        var pod = Web with { Labels = new Dictionary<string, string> { ["appName"] = "camel", ["app-name"] = "dashed" } };

        Assert.Equal(["label_app_name_conflict1", "label_app_name_conflict2"], labels.Names);
        Assert.Equal(["dashed", "camel"], labels.Identify(pod).Labels.Values);
    }

    [Fact]
    public void A_label_that_a_pod_does_not_have_is_empty()
    {
        var labels = Read(("Metrics:PodLabels", "label:team;label:tier;workload"));

        Assert.Equal(["", "front", "web"], labels.Identify(Web).Labels.Values);
        Assert.Equal(["", "", ""], labels.Identify(new("shop", "web")).Labels.Values);
    }

    [Fact]
    public void Pods_are_equal_where_all_that_is_shown_of_them_is()
    {
        var labels = Read(("Metrics:PodLabels", "namespace;label:tier"));
        var other = Web with { Labels = new Dictionary<string, string> { ["tier"] = "front", ["version"] = "2" } };

        Assert.Equal(labels.Identify(Web), labels.Identify(other));
        Assert.Equal(labels.Identify(Web).Labels.GetHashCode(), labels.Identify(other).Labels.GetHashCode());
        Assert.NotEqual(labels.Identify(Web), labels.Identify(Web with { Name = "web-2" }));
        Assert.Equal(labels.Identify(Web).Labels, labels.Identify(Web with { Name = "web-2" }).Labels);
        Assert.NotEqual(labels.Identify(Web), labels.Identify(Web with { IsOptedOut = true }));
        Assert.NotEqual(labels.Identify(Web).Labels, labels.Identify(Web with { Labels = null }).Labels);
    }

    /// <summary>The boundaries between values count, and so do their places.</summary>
    [Theory]
    [InlineData("a", "b", "ab", "")]
    [InlineData("a", "b", "b", "a")]
    [InlineData("a", "", "", "a")]
    public void Different_values_are_different_labels(string one, string two, string otherOne, string otherTwo) =>
        Assert.NotEqual(new LabelValues(one, two), new LabelValues(otherOne, otherTwo));

    [Theory]
    [InlineData("", "", "shop", false)]
    [InlineData("shop", "", "shop", false)]
    [InlineData("shop;bank", "", "bank", false)]
    [InlineData("shop", "", "bank", true)]
    [InlineData("shop", "", "shopping", true)]
    [InlineData("", "shop", "shop", true)]
    [InlineData("", "bank; shop", "shop", true)]
    [InlineData("", "shop", "bank", false)]
    [InlineData("shop;bank", "shop", "shop", true)]
    [InlineData("shop;bank", "shop", "bank", false)]
    [InlineData("shop;bank", "shop", "other", true)]
    public void Namespaces_are_left_out_as_the_options_say(string only, string not, string pods, bool isExcluded) =>
        Assert.Equal(isExcluded, Read(("Metrics:Namespaces", only), ("Metrics:ExcludedNamespaces", not)).Identify(new(pods, "web")).IsExcluded);

    [Theory]
    [InlineData("false", true)]
    [InlineData("true", false)]
    [InlineData("", false)]
    [InlineData("False", false)]
    public void A_pod_asks_to_be_left_out_by_its_annotation(string value, bool isExcluded)
    {
        var pod = new ToldPod("web") { Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = value } };

        Assert.Equal(isExcluded, Read().Identify(pod.Document.Describe()).IsExcluded);
    }

    [Fact]
    public void The_host_is_shown_whatever_is_left_out()
    {
        var labels = Read(("Metrics:PodLabels", All), ("Kubernetes:NodeName", "worker-1"), ("Metrics:Namespaces", "shop"));

        Assert.False(labels.Host.IsExcluded);
        Assert.Equal(["__host__", "", "__host__", "worker-1", "__host__", ""], labels.Host.Labels.Values);
    }

    public static TheoryData<string, string, string, string?, string, string> Owners => new()
    {
        { "ReplicaSet", "web-7f9c", "pod-template-hash", "7f9c", "Deployment", "web" },
        { "ReplicaSet", "web-7f9c", "rollouts-pod-template-hash", "7f9c", "Rollout", "web" },
        { "ReplicaSet", "web-7f9c", "pod-template-hash", "9c", "ReplicaSet", "web-7f9c" },
        { "ReplicaSet", "web", "pod-template-hash", null, "ReplicaSet", "web" },
        { "ReplicaSet", "-7f9c", "pod-template-hash", "7f9c", "ReplicaSet", "-7f9c" },
        { "StatefulSet", "db", "pod-template-hash", null, "StatefulSet", "db" },
        { "DaemonSet", "agent-7f9c", "pod-template-hash", "7f9c", "DaemonSet", "agent-7f9c" },
        { "Job", "backup-29401440", "job-name", "backup", "CronJob", "backup" },
        { "Job", "backup-20261125", "job-name", "backup", "Job", "backup-20261125" },
        { "Job", "backup-2940144", "job-name", "backup", "Job", "backup-2940144" },
        { "Job", "backup29401440", "job-name", "backup", "Job", "backup29401440" },
        { "Job", "-29401440", "job-name", "backup", "Job", "-29401440" },
        { "Node", "worker-1", "a", null, "Node", "worker-1" },
    };

    [Theory]
    [MemberData(nameof(Owners))]
    public void A_pods_workload_is_its_top_owner_as_far_as_the_pod_shows_it(string kind, string name, string label, string? value, string workloadKind, string workload)
    {
        var pod = Owned(
            value is null ? [] : new() { [label] = value }, new OwnerReference { Kind = "Other", Name = "other" }, null, new OwnerReference { Kind = kind, Name = name, Controller = true });

        Assert.Equal((workloadKind, workload), (pod.WorkloadKind, pod.Workload));
    }

    [Fact]
    public void A_pod_that_nobody_controls_is_its_own_workload()
    {
        Assert.Equal(("Pod", "web"), (Owned([]).WorkloadKind, Owned([]).Workload));
        var pod = Owned([], new OwnerReference { Kind = "Other", Name = "other" });
        Assert.Equal(("Pod", "web"), (pod.WorkloadKind, pod.Workload));
    }

    [Fact]
    public void A_static_pod_is_its_own_workload_and_not_its_nodes()
    {
        var told = new ToldPod("etcd") { StaticUid = "hash" }.Document;
        var pod = (told with { Metadata = told.Metadata with { OwnerReferences = [new() { Kind = "Node", Name = "worker-1", Controller = true }] } }).Describe();

        Assert.Equal(("Pod", "etcd"), (pod.WorkloadKind, pod.Workload));
    }

    [Fact]
    public async Task Every_family_has_the_labels_of_the_option()
    {
        using var node = new CountingNode(("Metrics:PodLabels", "workload;label:app.kubernetes.io/name;node"), ("Kubernetes:NodeName", "worker-1"), ("Handshake:Buckets", "1"));
        const string Labels = "workload=\"web\",label_app_kubernetes_io_name=\"storefront\",node=\"worker-1\"";
        var counts = node.Pods.Acquire(node.Labels.Identify(Web));

        counts.Add(Counted.Both(Counted.Sent(1, 100, 2), Counted.Delivered(3, 400, 5, Transport.Udp)));
        counts.Add(new TrafficValue { Transmit = Counted.Sizes((1, 60)) });
        counts.Add(Counted.Handshakes(
            Counted.Completed([1_000_000_000], 5),
            Counted.Both(Counted.Failed(HandshakeFailure.Refused), Counted.Resent(7))));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(
            [
                $"podnet_receive_bytes_total{{{Labels},transport=\"tcp\"}}",
                $"podnet_receive_bytes_total{{{Labels},transport=\"udp\"}}",
                $"podnet_receive_packets_total{{{Labels},transport=\"tcp\"}}",
                $"podnet_receive_packets_total{{{Labels},transport=\"udp\"}}",
                $"podnet_receive_segments_total{{{Labels},transport=\"tcp\"}}",
                $"podnet_receive_segments_total{{{Labels},transport=\"udp\"}}",
                $"podnet_tcp_handshake_failures_total{{{Labels},role=\"server\",reason=\"refused\"}}",
                $"podnet_tcp_handshake_retransmits_total{{{Labels},role=\"client\"}}",
                $"podnet_tcp_handshake_retransmits_total{{{Labels},role=\"server\"}}",
                $"podnet_transmit_bytes_total{{{Labels},transport=\"tcp\"}}",
                $"podnet_transmit_bytes_total{{{Labels},transport=\"udp\"}}",
                $"podnet_transmit_packets_total{{{Labels},transport=\"tcp\"}}",
                $"podnet_transmit_packets_total{{{Labels},transport=\"udp\"}}",
                $"podnet_transmit_segments_total{{{Labels},transport=\"tcp\"}}",
                $"podnet_transmit_segments_total{{{Labels},transport=\"udp\"}}",
            ],
            scrape.Samples.Where(sample => sample.Contains("_total{", StringComparison.Ordinal) && !sample.StartsWith("podnet_exporter", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.Equal(1, scrape[$"podnet_tcp_handshake_duration_seconds_count{{{Labels},role=\"client\"}}"]);
        Assert.True(scrape.Has($"podnet_tcp_handshake_duration_seconds_bucket{{{Labels},role=\"client\",le=\"1\"}}"));
        Assert.True(scrape.Has($"podnet_packet_size_bytes_sum{{{Labels},direction=\"transmit\"}}"));
        Assert.Equal(scrape.CountPodSamples(), scrape.Samples.Count(sample => sample.Contains($"{{{Labels},", StringComparison.Ordinal)));
        Assert.Equal(scrape.CountPodSamples(), node.Pods.Lines);
    }

    [Fact]
    public async Task Pods_that_have_all_labels_in_common_share_series_and_sum_up()
    {
        using var node = new CountingNode(("Metrics:PodLabels", "namespace;workload"), ("Metrics:Retention", "00:02:00"));
        const string Sample = "podnet_transmit_bytes_total{namespace=\"shop\",workload=\"web\",transport=\"tcp\"}";
        var first = node.Pods.Acquire(node.Labels.Identify(Web));
        var second = node.Pods.Acquire(node.Labels.Identify(Web with { Name = "web-7f9c-zzzzz" }));
        var other = node.Pods.Acquire(node.Labels.Identify(Web with { Workload = "db" }));

        first.Add(Counted.Sent(1, 100, 1));
        second.Add(Counted.Sent(1, 20, 1));
        other.Add(Counted.Sent(1, 3, 1));
        Assert.Equal(120, (await node.ScrapeAsync())[Sample]);

        node.Pods.Release(first);
        node.Time.Advance(TimeSpan.FromMinutes(3));
        node.Pods.Settle();
        second.Add(Counted.Sent(1, 1000, 1));

        Assert.Equal(1120, (await node.ScrapeAsync())[Sample]);
    }

    [Fact]
    public async Task Values_of_labels_are_escaped()
    {
        using var node = new CountingNode(("Metrics:PodLabels", "label:a"));

        node.Pods.Acquire(node.Labels.Identify(Web with { Labels = new Dictionary<string, string> { ["a"] = "\"} \\ 1" } })).Add(Counted.Sent(1, 100, 1));

        Assert.Equal(100, (await node.ScrapeAsync())["podnet_transmit_bytes_total{label_a=\"\\\"} \\\\ 1\",transport=\"tcp\"}"]);
    }

    private static PodLabels Read(params (string Key, string? Value)[] settings)
    {
        var options = TestOptions.Read(settings);
        return options.CreateLabels();
    }

    private static PodDescription Owned(Dictionary<string, string> labels, params OwnerReference?[] owners)
    {
        var told = new ToldPod("web") { Labels = labels }.Document;
        return (told with { Metadata = told.Metadata with { OwnerReferences = owners } }).Describe();
    }
}
