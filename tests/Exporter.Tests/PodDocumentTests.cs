using System.Text;
using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;

namespace Exporter.Tests;

public sealed class PodDocumentTests
{
    [Theory]
    [InlineData("ReplicaSet", "front-7fc58c9877", "pod-template-hash", "7fc58c9877", "Deployment", "front")]
    [InlineData("ReplicaSet", "a-b-c-7fc58c9877", "pod-template-hash", "7fc58c9877", "Deployment", "a-b-c")]
    [InlineData("ReplicaSet", "canary-5d4", "rollouts-pod-template-hash", "5d4", "Rollout", "canary")]
    // Made by nobody, or not called after its template.
    [InlineData("ReplicaSet", "front", null, null, "ReplicaSet", "front")]
    [InlineData("ReplicaSet", "front-7fc58c9877", null, null, "ReplicaSet", "front-7fc58c9877")]
    [InlineData("ReplicaSet", "front-7fc58c9877", "pod-template-hash", "", "ReplicaSet", "front-7fc58c9877")]
    [InlineData("ReplicaSet", "front-7fc58c9877", "pod-template-hash", "58c9877", "ReplicaSet", "front-7fc58c9877")]
    [InlineData("ReplicaSet", "front-7fc58c9877", "pod-template-hash", "other", "ReplicaSet", "front-7fc58c9877")]
    [InlineData("ReplicaSet", "-7fc58c9877", "pod-template-hash", "7fc58c9877", "ReplicaSet", "-7fc58c9877")]
    [InlineData("ReplicaSet", "7fc58c9877", "pod-template-hash", "7fc58c9877", "ReplicaSet", "7fc58c9877")]
    [InlineData("StatefulSet", "db", "pod-template-hash", "db", "StatefulSet", "db")]
    [InlineData("StatefulSet", "db-29923612", null, null, "StatefulSet", "db-29923612")]
    [InlineData("DaemonSet", "node-agent", "controller-revision-hash", "6f4", "DaemonSet", "node-agent")]
    [InlineData("Job", "report-29923612", null, null, "CronJob", "report")]
    [InlineData("Job", "nightly-report-29923612", null, null, "CronJob", "nightly-report")]
    // Eight digits that are a date, or are not eight, or no minutes.
    [InlineData("Job", "report-20261125", null, null, "Job", "report-20261125")]
    [InlineData("Job", "report-21001231", null, null, "Job", "report-21001231")]
    [InlineData("Job", "report-21038399", null, null, "Job", "report-21038399")]
    [InlineData("Job", "report-21038400", null, null, "CronJob", "report")]
    [InlineData("Job", "report-99999999", null, null, "CronJob", "report")]
    [InlineData("Job", "report-2992361", null, null, "Job", "report-2992361")]
    [InlineData("Job", "report-299236121", null, null, "Job", "report-299236121")]
    [InlineData("Job", "report-2992361x", null, null, "Job", "report-2992361x")]
    [InlineData("Job", "report-٢٩٩٢٣٦١٢", null, null, "Job", "report-٢٩٩٢٣٦١٢")]
    [InlineData("Job", "report29923612", null, null, "Job", "report29923612")]
    [InlineData("Job", "-29923612", null, null, "Job", "-29923612")]
    [InlineData("Job", "29923612", null, null, "Job", "29923612")]
    [InlineData("Job", "import", null, null, "Job", "import")]
    [InlineData("ReplicationController", "old", null, null, "ReplicationController", "old")]
    [InlineData("Workflow", "steps-29923612", null, null, "Workflow", "steps-29923612")]
    [InlineData("Job", "", null, null, "Job", "")]
    public void A_pod_s_workload_is_its_top_owner(string ownerKind, string ownerName, string? label, string? value, string kind, string name)
    {
        var pod = new PodDocument
        {
            Metadata = new()
            {
                Name = "pod-x1",
                Labels = label is null ? null : new Dictionary<string, string> { [label] = value! },
                OwnerReferences = [new() { Kind = ownerKind, Name = ownerName, Controller = true }],
            },
        };
        Assert.Equal((kind, name), WorkloadOf(pod));
    }

    [Fact]
    public void A_pod_without_an_owner_is_its_own_workload()
    {
        Assert.Equal(("Pod", "bare"), WorkloadOf(new() { Metadata = new() { Name = "bare" } }));
        Assert.Equal(("Pod", "bare"), WorkloadOf(new() { Metadata = new() { Name = "bare", OwnerReferences = [] } }));
    }

    [Fact]
    public void A_static_pod_is_its_own_workload_whatever_owns_its_mirror()
    {
        var pod = PodIn("04-pod-kinds/mirror-pod/watch", 1);
        Assert.Equal("Node", Assert.Single(pod.Metadata.OwnerReferences!)!.Kind);
        Assert.Equal(("Pod", "static-web-worker-1"), WorkloadOf(pod));
    }

    [Fact]
    public void Only_the_owner_that_controls_counts()
    {
        PodDocument pod = new()
        {
            Metadata = new() { Name = "x", OwnerReferences = [null, new() { Kind = "ConfigMap", Name = "first" }, new() { Kind = "DaemonSet", Name = "agent", Controller = true }, new() { Kind = "Job", Name = "last", Controller = true }] },
        };
        Assert.Equal(("DaemonSet", "agent"), WorkloadOf(pod));
        Assert.Equal(("Pod", "x"), WorkloadOf(pod with { Metadata = pod.Metadata with { OwnerReferences = [new() { Kind = "DaemonSet", Name = "agent" }] } }));
    }

    [Fact]
    public void Recorded_pods_have_the_workloads_that_made_them()
    {
        var workloads = Transcript.Read("04-pod-kinds/workloads/watch").Lines
            .Select(line => Parse(line).Describe())
            .Select(pod => $"{pod.WorkloadKind} {pod.Workload}")
            .Distinct();
        Assert.Equal(["Deployment front", "StatefulSet db", "DaemonSet node-agent", "CronJob report"], workloads);
    }

    [Fact]
    public void A_description_has_what_the_labels_show()
    {
        var pod = new PodDocument
        {
            Metadata = new()
            {
                Namespace = "shop",
                Name = "web",
                Labels = new Dictionary<string, string> { ["app"] = "web" },
                Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = "false" },
            },
        }.Describe();
        Assert.Equal(("shop", "web", "web", true), (pod.Namespace, pod.Name, pod.Labels!["app"], pod.IsOptedOut));
    }

    [Theory]
    [InlineData("false", true)]
    [InlineData("true", false)]
    [InlineData("False", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_pod_is_left_out_by_the_word_false_alone(string? value, bool isOptedOut)
    {
        var annotations = value is null ? null : new Dictionary<string, string> { ["podnet.io/scrape"] = value };
        Assert.Equal(isOptedOut, new PodDocument { Metadata = new() { Annotations = annotations } }.Describe().IsOptedOut);
    }

    [Fact]
    public void A_pod_s_key_is_its_uid_and_a_static_pod_s_the_manifest_s()
    {
        Assert.Equal("u", new PodDocument { Metadata = new() { Uid = "u", Annotations = new Dictionary<string, string> { ["kubernetes.io/config.hash"] = "h" } } }.Key);
        var mirror = PodIn("04-pod-kinds/mirror-pod/watch", 0);
        Assert.Equal("3c1d2f6b8d5a4e0f9a7b6c5d4e3f2a1b", mirror.Key);
        Assert.NotEqual(mirror.Metadata.Uid, mirror.Key);
        var bare = new PodDocument { Metadata = new() { Uid = "u", Annotations = new Dictionary<string, string> { ["kubernetes.io/config.mirror"] = "m" } } };
        Assert.True(bare.IsStatic);
        Assert.Equal("u", bare.Key);
    }

    [Theory]
    [InlineData("""{}""", "")]
    [InlineData("""{"podIP":null,"podIPs":null}""", "")]
    [InlineData("""{"podIP":""}""", "")]
    [InlineData("""{"podIP":"10.0.0.1"}""", "10.0.0.1")]
    [InlineData("""{"podIP":"10.0.0.1","podIPs":[]}""", "10.0.0.1")]
    [InlineData("""{"podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}]}""", "10.0.0.1")]
    [InlineData("""{"podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}""", "10.0.0.1 fd00::1")]
    [InlineData("""{"podIP":"fd00::1","podIPs":[{"ip":"fd00::1"},{"ip":"10.0.0.1"}]}""", "fd00::1 10.0.0.1")]
    [InlineData("""{"podIPs":[{"ip":"10.0.0.1"},{"ip":"10.0.0.1"}]}""", "10.0.0.1")]
    [InlineData("""{"podIPs":[{"ip":"fd00:0::1"},{"ip":"FD00::0:1"}]}""", "fd00::1")]
    [InlineData("""{"podIPs":[null,{},{"ip":null},{"ip":""},{"ip":"nowhere"},{"ip":"10.0.0.300"},{"ip":"10.0.0.1/24"},{"ip":"10.0.0.1"}]}""", "10.0.0.1")]
    public void Addresses_are_those_of_podIPs_in_their_order_each_once(string status, string addresses) =>
        Assert.Equal(addresses, string.Join(' ', Pod($$"""{"status":{{status}}}""").Status.FindAddresses()));

    [Theory]
    [InlineData("""{}""", null)]
    [InlineData("""{"containerStatuses":null}""", null)]
    [InlineData("""{"containerStatuses":[]}""", null)]
    [InlineData("""{"containerStatuses":[null,{},{"state":null},{"state":{}},{"state":{"terminated":null}},{"state":{"terminated":{}}},{"state":{"terminated":{"finishedAt":null}}}]}""", null)]
    [InlineData("""{"containerStatuses":[{"state":{"running":{"startedAt":"2026-11-23T06:00:00Z"}}}]}""", null)]
    [InlineData("""{"containerStatuses":[{"state":{"terminated":{"finishedAt":"2026-11-23T06:00:01Z"}}},{"state":{"terminated":{"finishedAt":"2026-11-23T06:00:03Z"}}},{"state":{"terminated":{"finishedAt":"2026-11-23T06:00:02Z"}}}]}""", 3)]
    [InlineData("""{"containerStatuses":[{"state":{"terminated":{"finishedAt":"2026-11-23T07:00:01+01:00"}}},null]}""", 1)]
    public void A_pod_ended_with_its_last_container(string status, int? second) =>
        Assert.Equal(
            second is null ? null : new DateTimeOffset(2026, 11, 23, 6, 0, second.Value, TimeSpan.Zero),
            Pod($$"""{"status":{{status}}}""").Status.FindEndTime());

    [Theory]
    [InlineData("Pending", false)]
    [InlineData("Running", false)]
    [InlineData("Succeeded", true)]
    [InlineData("Failed", true)]
    [InlineData("Unknown", false)]
    [InlineData("", false)]
    public void A_pod_is_over_by_its_phase_and_ending_by_its_deletion_too(string phase, bool isOver)
    {
        var pod = new PodDocument { Status = new() { Phase = phase } };
        Assert.Equal((isOver, isOver), (pod.IsOver, pod.IsEnding));
        var deleted = pod with { Metadata = new() { DeletionTimestamp = DateTimeOffset.UnixEpoch } };
        Assert.Equal((isOver, true), (deleted.IsOver, deleted.IsEnding));
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"metadata":null,"spec":null,"status":null}""")]
    [InlineData("""{"metadata":{},"spec":{},"status":{}}""")]
    [InlineData("""{"metadata":{"uid":null,"namespace":null,"name":null,"resourceVersion":null,"deletionTimestamp":null,"labels":null,"annotations":null,"ownerReferences":null},"spec":{"containers":null},"status":{"phase":null,"startTime":null,"podIP":null,"podIPs":null,"containerStatuses":null}}""")]
    [InlineData("""{"metadata":{"labels":{},"annotations":{},"ownerReferences":[null,{},{"kind":null,"name":null,"controller":true}]}}""")]
    [InlineData("""{"metadata":{"annotations":{"kubernetes.io/config.mirror":null,"kubernetes.io/config.hash":null,"podnet.io/scrape":null},"labels":{"pod-template-hash":null},"ownerReferences":[{"kind":"ReplicaSet","name":"x","controller":true}]}}""")]
    public void What_is_missing_or_null_is_empty(string json)
    {
        var pod = Pod(json);
        Assert.Equal(("", "", "", ""), (pod.Metadata.Uid, pod.Metadata.Namespace, pod.Metadata.Name, pod.Metadata.ResourceVersion));
        Assert.Equal(("", false, false, false), (pod.Status.Phase, pod.Spec.HostNetwork, pod.IsOver, pod.IsEnding));
        Assert.Equal("", pod.Key);
        Assert.Empty(pod.Status.FindAddresses());
        Assert.Null(pod.Status.FindEndTime());
        Assert.Null(pod.Status.StartTime);
        Assert.False(pod.Describe().IsOptedOut);
    }

    [Fact]
    public void A_recorded_pod_is_read_field_by_field()
    {
        var pod = PodIn("03-watch-lifecycle/watch", 11);
        Assert.Equal(("shop", "cart-1", "1167"), (pod.Metadata.Namespace, pod.Metadata.Name, pod.Metadata.ResourceVersion));
        Assert.StartsWith("79312053-", pod.Key, StringComparison.Ordinal);
        Assert.Equal(DateTimeOffset.Parse("2026-11-23T06:48:13Z", System.Globalization.CultureInfo.InvariantCulture), pod.Status.StartTime);
        Assert.Equal("Failed", pod.Status.Phase);
        Assert.True(pod.IsOver && pod.IsEnding && !pod.Spec.HostNetwork && !pod.IsStatic);
        Assert.NotNull(pod.Status.FindEndTime());
        Assert.True(PodIn("04-pod-kinds/host-network/watch", 2).Spec.HostNetwork);
    }

    private static PodDocument Pod(string json) => Parse($$"""{"type":"ADDED","object":{{json}}}""");

    private static PodDocument PodIn(string transcript, int line) => Parse(Transcript.Read(transcript).Lines[line]);

    private static PodDocument Parse(string line) =>
        ResourceEvent<PodDocument>.Parse(Encoding.UTF8.GetBytes(line), PodDocumentContext.Default.ObjectEventPodDocument).Object;

    private static (string Kind, string Name) WorkloadOf(PodDocument pod) => (pod.Describe().WorkloadKind, pod.Describe().Workload);

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.1")]
    [InlineData("010.000.000.001", "10.0.0.1")]
    [InlineData("10.08.0.19", "10.8.0.19")]
    [InlineData(" 10.0.0.1\n", "10.0.0.1")]
    [InlineData("::ffff:10.0.0.1", "10.0.0.1")]
    [InlineData("::FFFF:0a00:0001", "10.0.0.1")]
    [InlineData("0:0:0:0:0:ffff:010.0.0.01", "10.0.0.1")]
    [InlineData("FD00:0:0:0:0:0:0:1", "fd00::1")]
    [InlineData("fd00:0000::0001", "fd00::1")]
    [InlineData("", null)]
    [InlineData("  ", null)]
    [InlineData(null, null)]
    [InlineData("10.1", null)]
    [InlineData("1", null)]
    [InlineData("0x0a.0.0.1", null)]
    [InlineData("10.0.0.256", null)]
    [InlineData("10.0.0.1/24", null)]
    [InlineData("[fd00::1]:80", null)]
    [InlineData("fe80::1%eth0", null)]
    [InlineData("pending", null)]
    public void An_address_is_read_in_any_form_of_the_API(string? text, string? address) => Assert.Equal(address, Exporter.Kubernetes.PodAddress.Parse(text)?.ToString());

    [Fact]
    public void Empty_and_repeated_entries_of_addresses_are_left_out()
    {
        var status = new Exporter.Kubernetes.PodStatus
        {
            PodIP = "10.0.0.1",
            PodIPs = [new() { Ip = "" }, null, new() { Ip = "fd00::1" }, new() { Ip = "FD00:0::1" }, new() { Ip = "::ffff:10.0.0.1" }],
        };

        Assert.Equal(["fd00::1", "10.0.0.1"], status.FindAddresses().Select(address => address.ToString()));
    }
}
