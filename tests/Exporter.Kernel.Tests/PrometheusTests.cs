using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
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

        Assert.Equal((0, ""), await CheckAsync(samples.Text, "promtool", "check", "metrics"));
    }

    /// <summary>The parser of Prometheus's own client for Python, which takes nothing but what the format allows.</summary>
    [Fact]
    public async Task The_OpenMetrics_exposition_passes_a_strict_parser_and_has_the_same_lines()
    {
        using var exporter = await ExporterProcess.StartAsync();
        using var pod = await exporter.AddPodAsync();
        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 20);
        var samples = await exporter.ScrapeUntilAsync(samples =>
            samples.Sum("podnet_transmit_bytes_total", "transport=\"tcp\"") > 1 << 20 && samples.Sum("podnet_tcp_handshake_duration_seconds_count") > 0);

        var text = await exporter.GetOpenMetricsAsync();
        var (exitCode, output) = await CheckAsync(
            text,
            "/usr/bin/python3",
            "-c",
            "import sys; from prometheus_client.openmetrics.parser import text_fd_to_metric_families as parse; print(sum(len(family.samples) for family in parse(sys.stdin)))");

        Assert.Equal((0, $"{samples.Text.Split('\n').Count(line => line.Length > 0 && line[0] != '#')}\n"), (exitCode, output));
    }

    [Fact]
    public async Task Every_example_in_the_list_of_metrics_is_a_query()
    {
        var (_, list, _) = ExporterProcess.Run("metrics");
        var queries = list.Split("```promql\n")[1..].Select(part => part.Split("\n```")[0]).ToList();
        var rules = new StringBuilder("groups: [{name: examples, rules: [\n");
        queries.ForEach(query => rules.Append(CultureInfo.InvariantCulture, $"  {{record: example{rules.Length}, expr: {JsonSerializer.Serialize(query)}}},\n"));

        var (exitCode, output) = await CheckAsync(rules.Append("]}]\n").ToString(), "promtool", "check", "rules", "/dev/stdin");

        Assert.True(exitCode == 0, output);
        Assert.Contains($"SUCCESS: {queries.Count} rules found", output, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Output)> CheckAsync(string text, params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        await process.StandardInput.WriteAsync(text);
        process.StandardInput.Close();
        var output = await process.StandardOutput.ReadToEndAsync() + await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
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
