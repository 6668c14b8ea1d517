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
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series_folded"] == 2);
        }
        await exporter.ScrapeUntilAsync(samples => Total(samples, "transmit") == one.ReadCounters().TransmittedPackets + other.ReadCounters().TransmittedPackets);
        await exporter.ScrapeUntilAsync(samples => Total(samples, "receive") == one.ReadCounters().ReceivedPackets + other.ReadCounters().ReceivedPackets);

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

        static double Total(MetricSamples samples, string direction) =>
            samples.Sum($"podnet_{direction}_packets_total") + samples[$"podnet_exporter_retired_packets_total{{direction=\"{direction}\"}}"]!.Value;
    }

    [Fact]
    public async Task What_cannot_be_used_or_takes_a_restart_is_told_and_changes_nothing()
    {
        using var exporter = await ExporterProcess.StartAsync($"--Options:File={File}");

        Publish("""{"Metrics": {"PodLabels": "nonsense", "MaxPods": "many"}}""");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_option_errors_total"] == 1);
        await exporter.WaitForLogAsync("cannot be used, the former stay in force");
        Assert.Contains(exporter.Log, line => line.Contains("Metrics:PodLabels", StringComparison.Ordinal) && line.Contains("Metrics:MaxPods", StringComparison.Ordinal));
        Publish("""{"Metrics": {"PodLab""");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_option_errors_total"] == 2);
        Publish("""{"Bpf": {"MaxInterfaces": "99"}, "Server": {"Urls": "http://*:1"}}""");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_options_pending_restart"] == 1);
        await exporter.WaitForLogAsync("Bpf:MaxInterfaces has changed, and will be in force after the next start");
        Publish("{}");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_options_pending_restart"] == 0);
        Assert.DoesNotContain(exporter.Log, line => line.Contains("are in force:", StringComparison.Ordinal));
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
