using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>A node with more pods than its budget of series has room for, as Prometheus sees it.</summary>
public sealed class SeriesBudgetTests
{
    [Fact]
    public async Task Four_hundred_pods_stay_within_a_budget_of_two_thousand_lines_and_every_packet_is_counted()
    {
        const int Pods = 400, Budget = 2000, FramesPerPod = 3, FrameBytes = 60, Leaving = 100;
        using var veths = new Veths(Pods);
        veths.MakePods();
        using var exporter = await ExporterProcess.StartAsync($"--Metrics:MaxSeries={Budget}", "--Metrics:Retention=00:00:01", "--Attach:Hook=clsact");
        using var prometheus = PrometheusServer.Start(exporter.Port);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Pods);

        veths.SendFrames();

        var samples = await exporter.ScrapeUntilAsync(samples => Received(samples, "packets") == Pods * FramesPerPod);
        Assert.Equal(Pods * FramesPerPod * FrameBytes, Received(samples, "bytes"));
        Assert.Equal(Budget, samples["podnet_exporter_series_limit"]);
        Assert.InRange(samples.CountPodLines(), 1, Budget);
        Assert.Equal(samples.CountPodLines(), samples["podnet_exporter_series"]);
        // With the defaults a pod can need 110 lines, and 1705 are for pods: all in one namespace, the others have room under its name.
        Assert.Equal(Pods - 15, samples["podnet_exporter_series_folded"]);
        Assert.Equal((Pods - 15) * FramesPerPod, samples.Sum("podnet_receive_packets_total", "namespace=\"standalone\"", "pod=\"__other__\""));
        Assert.Equal((Pods - 15) * FramesPerPod, samples["podnet_exporter_folded_packets_total{direction=\"receive\"}"]);
        var shown = await exporter.GetPodsUntilAsync(_ => true);
        Assert.Equal(Pods - 15, shown.Root.GetProperty("pods").EnumerateArray().Count(pod => pod.GetProperty("folded").GetBoolean()));

        // Those that had series are among those that leave, and others take their place.
        veths.Remove(Leaving);
        samples = await exporter.ScrapeUntilAsync(samples =>
            samples["podnet_exporter_series_folded"] == Pods - Leaving - 15 && samples.Sum("podnet_exporter_retired_packets_total") > 0);
        Assert.Equal(Pods * FramesPerPod, Received(samples, "packets") + samples["podnet_exporter_retired_packets_total{direction=\"receive\"}"]);
        Assert.Equal(Pods * FramesPerPod * FrameBytes, Received(samples, "bytes") + samples["podnet_exporter_retired_bytes_total{direction=\"receive\"}"]);

        // What Prometheus itself has counted in any scrape since it runs.
        var own = samples.CountLines() - samples.CountPodLines();
        var most = await prometheus.QueryUntilAsync("max_over_time(scrape_samples_scraped[1h])", value => value > own, () => { });
        Assert.InRange(most, own + 1, Budget + own);
    }

    private static double Received(MetricSamples samples, string unit) => samples.Sum($"podnet_receive_{unit}_total");
}
