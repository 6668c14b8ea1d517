using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;
using Exporter.Tests.Kubernetes;

namespace Exporter.Kernel.Tests;

/// <summary>Pods' names from a cluster, on real interfaces, by the real binary.</summary>
public sealed class KubernetesTests
{
    [Fact]
    public async Task No_byte_of_short_lived_pods_lands_on_another_that_had_its_address()
    {
        await using var node = await KubernetesNode.StartAsync("--Metrics:Retention=01:00:00");
        await node.Exporter.ScrapeUntilAsync(IsWatching);
        using var pods = new ChurningPods(node, new Random(1));

        await pods.RunAsync(300, atOnce: 10, addresses: 12);

        await AssertExactAsync(node, pods);
    }

    [Fact]
    public async Task An_outage_of_the_API_server_does_not_change_whose_traffic_it_is()
    {
        await using var node = await KubernetesNode.StartAsync("--Metrics:Retention=01:00:00", "--Identity:HoldFor=00:05:00");
        await node.Exporter.ScrapeUntilAsync(IsWatching);
        using var pods = new ChurningPods(node, new Random(2));
        var churn = pods.RunAsync(300, atOnce: 8, addresses: 8);
        await node.Exporter.ScrapeUntilAsync(samples => samples.HasPod("churn-20"));

        await node.Server.StopAsync();
        await node.Exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 0);
        await Task.Delay(TimeSpan.FromSeconds(60));
        await node.Server.StartAsync();
        await churn;

        await AssertExactAsync(node, pods);
    }

    [Fact]
    public async Task What_was_sent_before_the_API_server_told_of_the_pod_is_on_its_series()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var pod = await node.Exporter.AddPodAsync();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);

        node.Run("shop", "web-0", $"{pod.Address}");

        await WaitForExactAsync(node, pod, "web-0");
    }

    [Fact]
    public async Task An_IPv6_address_names_the_pod_as_well()
    {
        await using var node = await KubernetesNode.StartAsync();
        node.Run("shop", "web-0", "10.99.0.1", "fd00:77:ffff::99");
        using var pod = await node.Exporter.AddPodAsync();

        node.Run("shop", "db-0", $"{pod.Address6}");

        await WaitForExactAsync(node, pod, "db-0");
        Assert.False((await node.Exporter.ScrapeAsync()).HasPod("web-0"));
    }

    [Fact]
    public async Task Several_interfaces_of_a_pod_are_one_pod()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var pod = new Pod();
        using var second = new SecondInterface(pod);
        await second.RunAsync(node, "web-0");

        var pods = await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 2);

        Assert.Equal([SecondInterface.Name, pod.Interface], pods.Interfaces("web-0").Order());
    }

    /// <summary>With other labels the pod has to be found again, and the API server says nothing of an address of the second interface.</summary>
    [Fact]
    public async Task A_pods_second_interface_is_still_its_own_after_a_restart_with_other_labels()
    {
        using var pins = new PinnedNode();
        await using var node = await KubernetesNode.StartAsync(pins.Options);
        using var pod = new Pod();
        using var second = new SecondInterface(pod);
        await second.RunAsync(node, "web-0");
        await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 2);
        node.Exporter.Kill();

        using var next = await ExporterProcess.StartAsync(
            [$"--Kubernetes:Kubeconfig={node.Server.Files.Kubeconfig}", $"--Kubernetes:NodeName={KubernetesNode.Name}", .. pins.Options, "--Metrics:PodLabels=pod"]);

        var pods = await next.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 2);
        Assert.Equal([SecondInterface.Name, pod.Interface], pods.Interfaces("web-0").Order());
    }

    /// <summary>A host-network pod has the node's addresses; here it even claims the pod's.</summary>
    [Fact]
    public async Task A_pod_in_the_hosts_network_is_never_an_interfaces()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var pod = await node.Exporter.AddPodAsync();
        node.Cluster.Add(new("kube-system", "proxy") { NodeName = KubernetesNode.Name, HostNetwork = true, Phase = "Running", PodIps = [$"{pod.Address}"] });
        node.Run("shop", "web-0", $"{pod.Address}");

        var pods = await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 1);

        Assert.Empty(pods.Interfaces("proxy"));
        Assert.True(pods.Pod("proxy").GetProperty("hostNetwork").GetBoolean());
    }

    [Fact]
    public async Task A_pod_whose_sandbox_is_made_anew_goes_on_in_its_series()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var first = await node.Exporter.AddPodAsync();
        node.Run("shop", "web-0", $"{first.Address}");
        var before = await WaitForExactAsync(node, first, "web-0");
        first.Dispose();

        using var second = await node.Exporter.AddPodAsync();
        TestTraffic.Udp(second, AddressFamily.InterNetwork, 50, 100, fromPod: true);
        node.Cluster.SetStatus("shop", "web-0", "Running");
        node.Cluster.SetStatus("shop", "web-0", "Running", $"{second.Address}");

        // More of the first may have been counted after it was looked at.
        var samples = await node.Exporter.ScrapeUntilAsync(samples => samples.Traffic("web-0").TransmittedPackets >= before.TransmittedPackets + second.ReadCounters().TransmittedPackets);
        Assert.Equal(0, samples.Sum("podnet_exporter_unattributed_packets_total"));
    }

    [Fact]
    public async Task A_pod_whose_sandbox_is_made_anew_with_the_same_address_goes_on_in_its_series()
    {
        await using var node = await KubernetesNode.StartAsync();
        var first = await node.Exporter.AddPodAsync();
        var (address, hostAddress) = (first.Address, first.HostAddress);
        node.Run("shop", "web-0", $"{address}");
        var before = await WaitForExactAsync(node, first, "web-0");
        first.Dispose();

        using var second = await node.Exporter.AddPodAgainAsync(hostAddress, address);
        // Its containers have been started again.
        node.Cluster.SetStatus("shop", "web-0", "Running", $"{address}");

        await node.Exporter.GetPodsUntilAsync(pods =>
        {
            // Nothing else is told of the pod, and the API server goes on to be heard of.
            node.Cluster.Bookmark();
            return pods.Interfaces("web-0").Contains(second.Interface);
        });
        await node.Exporter.ScrapeUntilAsync(samples => samples.Traffic("web-0").TransmittedPackets >= before.TransmittedPackets + second.ReadCounters().TransmittedPackets);
    }

    [Fact]
    public async Task A_start_without_the_API_server_is_not_ready_says_why_and_counts()
    {
        var server = await ApiServer.CreateAsync();
        await server.StopAsync();
        await using var node = await KubernetesNode.StartAsync(server);
        using var pod = await node.Exporter.AddPodAsync();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);
        await node.Exporter.WaitForLogAsync("Watching pods failed, retrying");
        using (var unready = await node.Exporter.RequestAsync("/readyz"))
        {
            Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, unready.StatusCode);
            Assert.Matches("the pods of node worker-1 are not known yet: .*refused", await unready.Content.ReadAsStringAsync());
        }

        node.Run("shop", "web-0", $"{pod.Address}");
        await server.StartAsync();

        await WaitForExactAsync(node, pod, "web-0");
        using var ready = await node.Exporter.RequestAsync("/readyz");
        Assert.Equal(System.Net.HttpStatusCode.OK, ready.StatusCode);
    }

    [Fact]
    public async Task A_restarted_exporter_knows_the_pods_again()
    {
        await using var first = await KubernetesNode.StartAsync();
        using var pod = await first.Exporter.AddPodAsync();
        // A pod that is over keeps the address in its status until it is deleted.
        first.Run("shop", "job-1", $"{pod.Address}");
        first.Cluster.SetStatus("shop", "job-1", "Succeeded", $"{pod.Address}");
        first.Run("shop", "web-0", $"{pod.Address}");
        first.Exporter.Kill();

        using var second = await ExporterProcess.StartAsync($"--Kubernetes:Kubeconfig={first.Server.Files.Kubeconfig}", $"--Kubernetes:NodeName={KubernetesNode.Name}");
        await second.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);

        var samples = await second.ScrapeUntilAsync(samples => samples.Traffic("web-0").TransmittedPackets >= 50);
        Assert.False(samples.HasPod("job-1"));
    }

    [Fact]
    public async Task A_pod_that_asks_for_it_is_left_out_from_then_on_and_its_traffic_is_in_one_total()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var pod = await node.Exporter.AddPodAsync();
        node.Run("shop", "web-0", $"{pod.Address}");
        await WaitForExactAsync(node, pod, "web-0");

        node.Cluster.Modify("shop", "web-0", pod => pod with { Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = "false" } });
        await node.Exporter.GetPodsUntilAsync(pods => pods.Pod("web-0").GetProperty("excluded").GetBoolean());
        // It is known of a moment before it is so.
        await node.Exporter.ScrapeUntilAsync(samples =>
        {
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 10, 100, fromPod: true);
            return Excluded(samples) > 0;
        });
        var before = (await node.Exporter.ScrapeAsync()).Traffic("web-0");
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);

        // Neighbour discovery goes on.
        var samples = await node.Exporter.ScrapeUntilAsync(samples => before.TransmittedPackets + Excluded(samples) == pod.ReadCounters().TransmittedPackets);
        Assert.Equal(before, samples.Traffic("web-0"));

        static ulong Excluded(MetricSamples samples) => (ulong)samples["podnet_exporter_excluded_packets_total{direction=\"transmit\"}"]!;
    }

    [Fact]
    public async Task Pods_of_a_namespace_that_is_left_out_have_no_series()
    {
        await using var node = await KubernetesNode.StartAsync("--Metrics:ExcludedNamespaces=kube-system;monitoring");
        using var left = new Pod();
        using var kept = new Pod();
        await node.Exporter.WaitForAttachedAsync(left.Interface);
        await node.Exporter.WaitForAttachedAsync(kept.Interface);
        left.Up();
        kept.Up();
        node.Run("monitoring", "prometheus-0", $"{left.Address}");
        node.Run("shop", "web-0", $"{kept.Address}");

        await WaitForExactAsync(node, kept, "web-0");
        var samples = await node.Exporter.ScrapeUntilAsync(
            samples => samples["podnet_exporter_excluded_packets_total{direction=\"transmit\"}"] >= left.ReadCounters().TransmittedPackets);
        Assert.False(samples.HasPod("prometheus-0"));
    }

    [Fact]
    public async Task Series_carry_the_labels_that_are_chosen()
    {
        await using var node = await KubernetesNode.StartAsync("--Metrics:PodLabels=namespace;workload;workload_kind;node;label:app.kubernetes.io/name");
        using var first = new Pod();
        using var second = new Pod();
        foreach (var (pod, name) in ((Pod, string)[])[(first, "web-7d4b9c-x1"), (second, "web-7d4b9c-x2")])
        {
            await node.Exporter.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            node.Cluster.Add(new("shop", name)
            {
                NodeName = KubernetesNode.Name,
                StartTime = DateTimeOffset.UtcNow.AddMinutes(-1),
                Owners = [new("ReplicaSet", "web-7d4b9c")],
                Labels = new Dictionary<string, string> { ["pod-template-hash"] = "7d4b9c", ["app.kubernetes.io/name"] = "storefront" },
            });
            node.Cluster.SetStatus("shop", name, "Running", $"{pod.Address}");
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);
        }

        var samples = await node.Exporter.ScrapeUntilAsync(samples => samples[
            "podnet_transmit_packets_total{namespace=\"shop\",workload=\"web\",workload_kind=\"Deployment\",node=\"worker-1\",label_app_kubernetes_io_name=\"storefront\",transport=\"udp\"}"] == 100);
        Assert.DoesNotContain("pod=\"", samples.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_pods_and_their_interfaces_are_shown()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var pod = new Pod();
        using var unknown = new Pod();
        await node.Exporter.WaitForAttachedAsync(pod.Interface);
        await node.Exporter.WaitForAttachedAsync(unknown.Interface);
        pod.Up();
        node.Run("shop", "web-0", $"{pod.Address}");
        await WaitForExactAsync(node, pod, "web-0");

        var pods = await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 1
            && pods.Pod("web-0").GetProperty("interfaces")[0].GetProperty("transmit").GetProperty("bytes").GetUInt64() == pod.ReadCounters().TransmittedBytes);

        Assert.Equal("kubernetes", pods.Root.GetProperty("source").GetString());
        Assert.Contains(unknown.Interface, pods.Root.GetProperty("unknown").EnumerateArray().Select(found => found.GetProperty("name").GetString()));
        var shown = pods.Pod("web-0").GetProperty("interfaces")[0];
        Assert.Equal("attached", shown.GetProperty("state").GetString());
        Assert.Contains($"{pod.Address}", shown.GetProperty("addresses").EnumerateArray().Select(address => address.GetString()));
        Assert.Contains($"<td>shop</td><td>web-0</td><td>{pod.Interface}</td>", await node.Exporter.GetAsync("/"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handshakes_are_on_the_series_of_the_pod()
    {
        await using var node = await KubernetesNode.StartAsync();
        using var pod = await node.Exporter.AddPodAsync();
        node.Run("shop", "web-0", $"{pod.Address}");
        await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 1);

        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1000);

        await node.Exporter.ScrapeUntilAsync(
            samples => samples["podnet_tcp_handshake_duration_seconds_count{namespace=\"shop\",pod=\"web-0\",role=\"server\"}"] == 1);
    }

    [Fact]
    public async Task In_a_pod_the_cluster_is_found_by_itself_and_a_rotated_token_is_used()
    {
        await using var server = await ApiServer.CreateAsync();
        server.Cluster.Add(new("shop", "web-0") { NodeName = KubernetesNode.Name, Phase = "Running", PodIps = ["10.99.0.1"] });
        // A pod's file system, as far as it matters, over this machine's.
        using var exporter = await ExporterProcess.StartBehindAsync(
        [
            "unshare", "--mount", "sh", "-c",
            """
            set -e
            mount -t tmpfs tmpfs /run
            mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
            mount --bind "$1" /var/run/secrets/kubernetes.io/serviceaccount
            export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT="$2" NODE_NAME="$3"
            shift 3
            exec "$@"
            """,
            "sh", server.Files.ServiceAccount, $"{server.Port}", KubernetesNode.Name, ExporterProcess.Binary,
        ]);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_pods"] == 1 && samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1);

        server.RotateToken("token-2");
        server.Cluster.EndWatches();
        server.Cluster.Add(new("shop", "web-1") { NodeName = KubernetesNode.Name, Phase = "Running", PodIps = ["10.99.0.2"] });

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_pods"] == 2);
    }

    [Fact]
    public async Task A_proxy_is_used_as_the_environment_says()
    {
        await using var server = await ApiServer.CreateAsync();
        using var proxy = new HttpProxy();
        // The port is the server's, but nobody answers to that name: only the proxy knows the way.
        var kubeconfig = Path.Combine(server.Files.Root, "kubeconfig-of-a-name");
        await File.WriteAllTextAsync(kubeconfig, (await File.ReadAllTextAsync(server.Files.Kubeconfig)).Replace(
            $"server: https://127.0.0.1:{server.Port}", $"tls-server-name: 127.0.0.1\n    server: https://api.cluster.invalid:{server.Port}", StringComparison.Ordinal));
        using var exporter = await ExporterProcess.StartBehindAsync(
            ["env", $"HTTPS_PROXY=http://127.0.0.1:{proxy.Port}", ExporterProcess.Binary], $"--Kubernetes:Kubeconfig={kubeconfig}", $"--Kubernetes:NodeName={KubernetesNode.Name}");

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1);

        Assert.Contains($"CONNECT api.cluster.invalid:{server.Port} HTTP/1.1", proxy.Requests);
    }

    [Theory]
    [InlineData("sleep 1000", "has not ended after 15 s")]
    [InlineData("echo no session >&2; exit 1", "fails with exit code 1: no session")]
    public async Task A_plugin_that_hangs_or_fails_delays_neither_the_start_nor_the_end_and_is_the_reason_for_not_being_ready(string script, string reason)
    {
        await using var server = await ApiServer.CreateAsync();
        var kubeconfig = Path.Combine(server.Files.Root, "kubeconfig-of-a-plugin");
        await File.WriteAllTextAsync(kubeconfig, (await File.ReadAllTextAsync(server.Files.Kubeconfig)).Replace(
            "token: token-1",
            $"exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, '{script}']}}",
            StringComparison.Ordinal));
        using var exporter = await ExporterProcess.StartAsync($"--Kubernetes:Kubeconfig={kubeconfig}", $"--Kubernetes:NodeName={KubernetesNode.Name}");

        await exporter.WaitForLogAsync(reason);
        using (var unready = await exporter.RequestAsync("/readyz"))
        {
            Assert.Contains($"the plugin 'sh' of users.exporter.exec in '{kubeconfig}' {reason}", await unready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        Assert.Equal(0, exporter.Terminate());
    }

    [Fact]
    public async Task A_quiet_node_asks_for_one_list_and_one_watch_of_its_own_pods()
    {
        await using var node = await KubernetesNode.StartAsync();
        await node.Server.WaitForRequestAsync(request => request.IsWatch);
        using var pod = await node.Exporter.AddPodAsync();
        node.Run("shop", "web-0", $"{pod.Address}");
        await WaitForExactAsync(node, pod, "web-0");

        Assert.Equal(2, node.Server.Requests.Count);
        Assert.All(node.Server.Requests, request => Assert.Contains("fieldSelector=spec.nodeName%3Dworker-1", $"{request}", StringComparison.Ordinal));
    }

    private static async Task<InterfaceCounters> WaitForExactAsync(KubernetesNode node, Pod pod, string name)
    {
        InterfaceCounters counters = null!;
        await node.Exporter.ScrapeUntilAsync(samples => (counters = pod.ReadCounters()).IsCountedAs(samples.Traffic(name)) && counters.TransmittedPackets > 0);
        return counters;
    }

    /// <summary>Whether the first list is there, which may take seconds: of pods that come and go before it nothing is known.</summary>
    private static bool IsWatching(MetricSamples samples) => samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1;

    private static async Task AssertExactAsync(KubernetesNode node, ChurningPods pods)
    {
        const string Unattributed = "podnet_exporter_unattributed_packets_total";
        var transmitted = pods.Lives.Sum(life => (double)life.Counters.TransmittedPackets);
        var received = pods.Lives.Sum(life => (double)(life.Counters.ReceivedPackets + life.Counters.ReceiveDropped));
        var samples = await node.Exporter.ScrapeUntilAsync(samples =>
            pods.Lives.Sum(life => (double)samples.Traffic(life.Pod).TransmittedPackets) + samples.Sum(Unattributed, "transmit") >= transmitted
            && pods.Lives.Sum(life => (double)samples.Traffic(life.Pod).ReceivedPackets) + samples.Sum(Unattributed, "receive") >= received);

        Assert.All(pods.Lives, life =>
        {
            var (expected, counted) = (life.Counters, samples.Traffic(life.Pod));
            Assert.Equal(
                (life.Pod, expected.TransmittedPackets, expected.TransmittedBytes, expected.ReceivedPackets + expected.ReceiveDropped),
                (life.Pod, counted.TransmittedPackets, counted.TransmittedBytes, counted.ReceivedPackets));
            // A busy machine's backlog may drop some on their way into the pod; nobody counts their bytes.
            Assert.True(counted.ReceivedBytes == expected.ReceivedBytes || expected.ReceiveDropped > 0, $"{life} has received {counted.ReceivedBytes} bytes");
        });
        foreach (var reason in (string[])["unattributed", "missed", "lost"])
        {
            Assert.Equal((reason, 0), (reason, samples.Sum($"podnet_exporter_{reason}_packets_total")));
        }
        Assert.Empty(node.Server.Failures);
    }

    /// <summary>A pod's interface beside its own, without an address, as of a second network.</summary>
    private sealed class SecondInterface : IDisposable
    {
        internal const string Name = "pntnet1";

        private readonly Pod _pod;

        internal SecondInterface(Pod pod)
        {
            _pod = pod;
            Shell.Ip($"link add {Name} type veth peer name net1 netns {pod.Name}");
        }

        /// <summary>Waits until both are counted, and brings the pod up as one of the cluster.</summary>
        internal async Task RunAsync(KubernetesNode node, string name)
        {
            await node.Exporter.WaitForAttachedAsync(_pod.Interface);
            await node.Exporter.WaitForAttachedAsync(Name);
            _pod.Up();
            node.Run("shop", name, $"{_pod.Address}");
        }

        public void Dispose() => Shell.TryRun("ip", "link", "delete", Name);
    }
}
