using System.Diagnostics;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>What Prometheus's own programs make of the metrics.</summary>
public sealed class PrometheusTests
{
    [Fact]
    public async Task The_exposition_passes_promtool()
    {
        using var exporter = await ExporterProcess.StartAsync();
        using var pod = await exporter.AddPodAsync();
        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 20);
        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_bytes_total", "transport=\"tcp\"") > 1 << 20);

        using var promtool = Process.Start(new ProcessStartInfo("promtool", ["check", "metrics"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        await promtool.StandardInput.WriteAsync(samples.Text);
        promtool.StandardInput.Close();
        var output = await promtool.StandardOutput.ReadToEndAsync() + await promtool.StandardError.ReadToEndAsync();
        await promtool.WaitForExitAsync();

        Assert.Equal((0, ""), (promtool.ExitCode, output));
    }

    [Fact]
    public async Task A_real_Prometheus_scrapes_it_and_answers_a_rate()
    {
        using var exporter = await ExporterProcess.StartAsync();
        using var pod = await exporter.AddPodAsync();
        using var prometheus = PrometheusServer.Start(exporter.Port);

        var rate = await prometheus.QueryUntilAsync(
            $"rate(podnet_transmit_bytes_total{{pod=\"{pod.Name}\",transport=\"udp\"}}[10s])",
            value => value > 0,
            () => TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 1000, fromPod: true));

        Assert.True(rate > 0);
        // The labels are the measured pod's, not renamed to exported_*.
        Assert.True(await prometheus.QueryUntilAsync($"podnet_transmit_packets_total{{namespace=\"standalone\",pod=\"{pod.Name}\",transport=\"udp\"}}", _ => true, () => { }) > 0);
    }
}
