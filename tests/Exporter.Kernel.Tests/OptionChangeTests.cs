using System.Net.Sockets;
using System.Text;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Options in a file that changes while the binary counts, as a ConfigMap does.</summary>
public sealed class OptionChangeTests : IDisposable
{
    private const string Name = "options.json";

    private readonly ConfigMapVolume _volume = new();

    public OptionChangeTests() => Publish("{}");

    private string File => _volume.PathOf(Name);

    public void Dispose() => _volume.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Labels_budget_interval_and_filters_change_under_load_and_nothing_is_lost(bool isPinned)
    {
        using var node = new PinnedNode(isPinned ? [$"--Options:File={File}"] : [$"--Options:File={File}", "--Bpf:PinDirectory="]);
        using var one = new Pod();
        using var other = new Pod();
        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(one.Interface);
        await exporter.WaitForAttachedAsync(other.Interface);
        one.Up();
        other.Up();
        using (new SteadyLoad(one, other))
        {
            Publish("""{"Metrics": {"MaxSeries": "20000", "Segments": "off"}}""");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series_limit"] == 20000 && samples.Sum("podnet_transmit_segments_total") == 0);
            Publish("""{"Metrics": {"PodLabels": "pod"}}""");
            await exporter.ScrapeUntilAsync(samples => samples.All.Any(sample => sample.Key.StartsWith("podnet_transmit_bytes_total{pod=", StringComparison.Ordinal)));
            Publish("""{"Metrics": {"MaxPods": "0"}}""");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series_folded{block=\"udp\"}"] == 2);
        }
        await exporter.ScrapeUntilAsync(samples => Total(samples, "transmit") == one.ReadCounters().TransmittedPackets + other.ReadCounters().TransmittedPackets);
        await exporter.ScrapeUntilAsync(samples => Total(samples, "receive") == Received(one.ReadCounters()) + Received(other.ReadCounters()));

        using (new SteadyLoad(other))
        {
            Publish($$"""{"Attach": {"Exclude": "^{{other.Interface}}$"} }""");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        }
        Assert.Equal(0, (await exporter.ScrapeAsync()).Sum("podnet_exporter_unattributed_packets_total"));
        TestTraffic.Udp(other, AddressFamily.InterNetwork, 100, 100, fromPod: true);
        Publish("{}");
        await exporter.WaitForAttachedAsync(other.Interface);
        Assert.DoesNotContain(exporter.Log, line => line.Contains("fail:", StringComparison.Ordinal));

        // The interface drops some on a busy machine, after they were counted.
        static ulong Received(InterfaceCounters counters) => counters.ReceivedPackets + counters.ReceiveDropped;

        static double Total(MetricSamples samples, string direction) =>
            samples.Sum($"podnet_{direction}_packets_total") + samples[$"podnet_exporter_retired_packets_total{{direction=\"{direction}\"}}"]!.Value;
    }

    [Fact]
    public async Task Labels_change_while_the_API_server_is_away_and_every_pod_stays_known()
    {
        await using var node = await KubernetesNode.StartAsync($"--Options:File={File}");
        using var pod = await node.Exporter.AddPodAsync();
        node.Cluster.Add(new("shop", "web-0")
        {
            NodeName = KubernetesNode.Name,
            StartTime = DateTimeOffset.UtcNow.AddMinutes(-1),
            Labels = new Dictionary<string, string> { ["app"] = "storefront" },
        });
        node.Cluster.SetStatus("shop", "web-0", "Running", $"{pod.Address}");
        await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 1);
        await node.Server.StopAsync();
        var before = await node.Exporter.ScrapeUntilAsync(
            samples => samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 0 && samples["podnet_exporter_kubernetes_errors_total{resource=\"pods\",reason=\"unreachable\"}"] > 0);

        Publish("""{"Metrics": {"PodLabels": "namespace;pod;label:app"}}""");

        await node.Exporter.ScrapeUntilAsync(samples =>
        {
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 10, 100, fromPod: true);
            return samples.All.Any(sample =>
                sample.Key == "podnet_transmit_packets_total{namespace=\"shop\",pod=\"web-0\",label_app=\"storefront\",transport=\"udp\"}" && sample.Value > 0);
        });
        Publish("""{"Metrics": {"PodLabels": "pod"}}""");
        var after = await node.Exporter.ScrapeUntilAsync(
            samples => samples.All.Any(sample => sample.Key.StartsWith("podnet_transmit_bytes_total{pod=\"web-0\",transport", StringComparison.Ordinal)));
        Assert.Equal(1, after["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]);
        Assert.Equal(1, after["podnet_exporter_kubernetes_pods"]);
        foreach (var (sample, value) in before.All.Where(sample => sample.Key.Split('{')[0] is var name
            && (name.StartsWith("podnet_exporter_", StringComparison.Ordinal) && (name.EndsWith("_total", StringComparison.Ordinal) || name.EndsWith("_count", StringComparison.Ordinal)))))
        {
            Assert.True(after[sample] >= value, $"{sample} went from {value} to {after[sample]}");
        }
        Assert.True(after["podnet_exporter_kubernetes_errors_total{resource=\"pods\",reason=\"unreachable\"}"] > 0);
    }

    [Fact]
    public async Task A_sandbox_that_is_made_again_after_a_change_of_options_is_the_pods()
    {
        await using var node = await KubernetesNode.StartAsync($"--Options:File={File}");
        var first = await node.Exporter.AddPodAsync();
        var (address, hostAddress) = (first.Address, first.HostAddress);
        node.Run("shop", "web-0", $"{address}");
        await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Contains(first.Interface));
        Publish("""{"Metrics": {"MaxSeries": "20000"}}""");
        await node.Exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series_limit"] == 20000);
        await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Contains(first.Interface));
        first.Dispose();

        using var second = await node.Exporter.AddPodAgainAsync(hostAddress, address);
        // Its containers have been started again.
        node.Cluster.SetStatus("shop", "web-0", "Running", $"{address}");

        await node.Exporter.GetPodsUntilAsync(pods =>
        {
            node.Cluster.Bookmark();
            return pods.Interfaces("web-0").Contains(second.Interface);
        });
    }

    [Fact]
    public async Task A_change_of_options_lists_no_pods_and_is_ready_all_the_time()
    {
        await using var node = await KubernetesNode.StartAsync($"--Options:File={File}");
        using var pod = await node.Exporter.AddPodAsync();
        node.Run("shop", "web-0", $"{pod.Address}");
        await node.Exporter.GetPodsUntilAsync(pods => pods.Interfaces("web-0").Count == 1);
        await node.Exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1);
        using var over = new CancellationTokenSource();
        var asking = Task.Run(async () =>
        {
            var unready = 0;
            while (!over.IsCancellationRequested)
            {
                using var answer = await node.Exporter.RequestAsync("/readyz");
                unready += answer.IsSuccessStatusCode ? 0 : 1;
            }
            return unready;
        });

        for (var pods = 101; pods <= 105; pods++)
        {
            Publish($$$"""{"Metrics": {"MaxPods": "{{{pods}}}", "MaxSeries": "{{{pods}}}00"}}""");
            await node.Exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series_limit"] == pods * 100);
            await node.Exporter.GetPodsUntilAsync(shown => shown.Interfaces("web-0").Count == 1);
        }

        await over.CancelAsync();
        Assert.Equal(0, await asking);
        Assert.Single(node.Server.Requests, request => !request.IsWatch);
        Assert.Single(node.Server.Requests, request => request.IsWatch);
    }

    [Fact]
    public async Task The_interval_and_the_filters_change_in_place_and_nothing_is_listed()
    {
        using var node = new PinnedNode($"--Options:File={File}");
        using var one = new Pod();
        using var other = new Pod();
        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(one.Interface);
        await exporter.WaitForAttachedAsync(other.Interface);
        one.Up();
        other.Up();
        using (new SteadyLoad(one, other))
        {
            Publish($$$"""{"Attach": {"Exclude": "^{{{other.Interface}}}$", "CoverageInterval": "00:00:20"}}""");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
            Publish("{}");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 2);
        }
        await exporter.ScrapeUntilAsync(samples => samples.Traffic(one.Name).TransmittedPackets == one.ReadCounters().TransmittedPackets);

        Assert.Single(exporter.Log, line => line.Contains("Counting by", StringComparison.Ordinal));
        Assert.DoesNotContain(exporter.Log, line => line.Contains("Resumed", StringComparison.Ordinal) || line.Contains("Left programs", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_interval_of_draining_changes_in_place_also_to_a_shorter_one()
    {
        Publish("""{"Drain": {"Interval": "00:01:00"}}""");
        using var node = new PinnedNode();
        var port = ExporterProcess.FreePort();
        // Without an interval on the command line, which stands before the file.
        using var exporter = await ExporterProcess.StartCommandAsync(port, [ExporterProcess.Binary, $"--Server:Urls=http://127.0.0.1:{port}", .. node.Options, $"--Options:File={File}"]);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_drain_duration_seconds_count"] >= 1);

        Publish("""{"Drain": {"Interval": "00:00:00.1"}}""");

        // Long before the minute is over.
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_drain_duration_seconds_count"] >= 10);
        Assert.Single(exporter.Log, line => line.Contains("Counting by", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_cannot_be_used_or_takes_a_restart_is_told_and_changes_nothing()
    {
        using var exporter = await ExporterProcess.StartAsync($"--Options:File={File}");

        Publish("""{"Metrics": {"PodLabels": "nonsense", "MaxPods": "many"}}""");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_config_reload_failures_total"] == 1);
        await exporter.WaitForLogAsync("Reloading the options failed, keeping the previous ones");
        Assert.Contains(exporter.Log, line => line.Contains("Metrics:PodLabels", StringComparison.Ordinal) && line.Contains("Metrics:MaxPods", StringComparison.Ordinal));
        Publish("""{"Metrics": {"PodLab""");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_config_reload_failures_total"] == 2);
        Publish("""{"Bpf": {"MaxInterfaces": "99"}, "Server": {"Urls": "http://*:1"}}""");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_options_pending_restart"] == 1);
        await exporter.WaitForLogAsync("Bpf:MaxInterfaces has changed; the change applies at the next start");
        Publish("{}");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_options_pending_restart"] == 0);
        Assert.DoesNotContain(exporter.Log, line => line.Contains("Applied changed options:", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_that_is_not_there_or_is_no_JSON_is_an_error_at_the_start()
    {
        var (exitCode, _, error) = ExporterProcess.Run("--Options:File=/nowhere/options.json");
        Assert.Equal(2, exitCode);
        Assert.Contains("Options:File: ", error, StringComparison.Ordinal);
        Assert.Contains("/nowhere/options.json", error, StringComparison.Ordinal);

        Publish("nonsense");
        (exitCode, _, error) = ExporterProcess.Run($"--Options:File={File}");
        Assert.Equal(2, exitCode);
        Assert.Contains(File, error, StringComparison.Ordinal);
    }

    private void Publish(string content) => _volume.Publish(Name, Encoding.UTF8.GetBytes(content));
}
