using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>A node with more pods than its budget of series has room for, as Prometheus sees it.</summary>
public sealed class SeriesBudgetTests
{
    [Fact]
    public async Task Four_hundred_pods_stay_within_a_budget_of_two_thousand_lines_and_every_packet_is_counted()
    {
        const int Pods = 400, Budget = 2000, FramesPerPod = 3, FrameBytes = 60, Leaving = 380;
        using var veths = new Veths(Pods);
        veths.MakePods();
        using var exporter = await ExporterProcess.StartAsync($"--Metrics:MaxSeries={Budget}", "--Metrics:Retention=00:00:01", "--Attach:Hook=clsact");
        using var prometheus = PrometheusServer.Start(exporter.Port);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Pods);

        veths.SendFrames();

        // With the defaults 170 lines are set aside, and the others of the one namespace have room: while blocks wait, fewer lines are free than packets' sizes need.
        const int SetAside = 170, Sizes = 20;
        var samples = await exporter.ScrapeUntilAsync(samples => Received(samples, "packets") == Pods * FramesPerPod && samples.CountPodLines() > Budget - SetAside - Sizes);
        Assert.Equal(Pods * FramesPerPod * FrameBytes, Received(samples, "bytes"));
        Assert.Equal(Budget, samples["podnet_exporter_series_limit"]);
        Assert.InRange(samples.CountPodLines(), 1, Budget - SetAside);
        Assert.Equal(samples.CountPodLines(), samples["podnet_exporter_series"]);
        var folded = samples.Sum("podnet_exporter_series_folded");
        Assert.InRange(folded, Pods, Pods * (FramesPerPod + 1));
        Assert.Equal(samples["podnet_exporter_folded_packets_total{direction=\"receive\"}"], samples.Sum("podnet_receive_packets_total", "namespace=\"standalone\"", "pod=\"__other__\""));
        // A drain between the two answers may fold more.
        await exporter.AskUntilAsync(
            async () => (Counted: (await exporter.ScrapeAsync()).Sum("podnet_exporter_series_folded"), Shown: await CountFoldedAsync(exporter)),
            folded => folded.Counted == folded.Shown);

        // All but the first leave, and with them most that have series. There is room for those that stay.
        veths.Remove(Leaving);
        samples = await exporter.ScrapeUntilAsync(samples =>
            samples.Sum("podnet_exporter_series_folded") == 0 && samples.Sum("podnet_exporter_retired_packets_total") > 0);
        Assert.Equal(Pods * FramesPerPod, Received(samples, "packets") + samples["podnet_exporter_retired_packets_total{direction=\"receive\"}"]);
        Assert.Equal(Pods * FramesPerPod * FrameBytes, Received(samples, "bytes") + samples["podnet_exporter_retired_bytes_total{direction=\"receive\"}"]);

        // What Prometheus itself has counted in any scrape since it runs.
        var own = samples.CountLines() - samples.CountPodLines();
        var most = await prometheus.QueryUntilAsync("max_over_time(scrape_samples_scraped[1h])", value => value > own, () => { });
        Assert.InRange(most, own + 1, Budget + own);
    }

    private static async Task<int> CountFoldedAsync(ExporterProcess exporter)
    {
        var shown = new ShownPods(await exporter.GetAsync("/api/v1/pods"));
        return shown.Root.GetProperty("pods").EnumerateArray().Sum(pod => pod.GetProperty("folded").GetArrayLength());
    }

    private static double Received(MetricSamples samples, string unit) => samples.Sum($"podnet_receive_{unit}_total");
}
