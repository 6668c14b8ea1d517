using System.Diagnostics;
using System.Globalization;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What the binary itself takes.</summary>
internal static class Footprint
{
    private const int Interfaces = 250;
    private const int Scrapes = 1000;

    internal static async Task RunAsync()
    {
        Table.Begin("The binary");
        Table.Row("size", new FileInfo(ExporterProcess.Binary).Length / 1e6, " MB", most: 20);
        await MeasureStartAsync();

        using var veths = new Veths(Interfaces);
        veths.MakePods();
        using var exporter = await ExporterProcess.StartAsync("--Drain:Interval=00:00:01");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Interfaces);
        veths.SendFrames();
        var series = Interfaces * (20 + (3 * 6));
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series"] >= series);
        for (var i = 0; i < Scrapes; i++)
        {
            await exporter.GetAsync("/metrics");
        }
        Table.Row($"resident memory with {Interfaces} interfaces, {series} series, after {Scrapes} scrapes", ResidentKilobytes(exporter.Id) / 1024.0, " MiB", most: 40);

        // These have no addresses, which are looked for often in the first half minute of an interface.
        await Task.Delay(TimeSpan.FromSeconds(40));
        const int Seconds = 20;
        var before = CpuTime(exporter.Id);
        await Task.Delay(TimeSpan.FromSeconds(Seconds));
        Table.Row(
            $"CPU with {Interfaces} idle interfaces, a drain a second", 100 * (CpuTime(exporter.Id) - before).TotalSeconds / Seconds, " % of a core", most: 1);
    }

    private static async Task MeasureStartAsync()
    {
        var times = new List<double>();
        for (var round = 0; round < 10; round++)
        {
            var port = ExporterProcess.FreePort();
            using var http = new HttpClient();
            var started = Stopwatch.GetTimestamp();
            using var process = Process.Start(new ProcessStartInfo(ExporterProcess.Binary, [$"--Server:Urls=http://127.0.0.1:{port}"]) { RedirectStandardOutput = true })!;
            await WaitForAnswerAsync(() => http.GetStringAsync($"http://127.0.0.1:{port}/metrics"));
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            process.Kill();
            await process.WaitForExitAsync();
        }
        Table.Row("start to the first scrape, median", Table.Median(times), " ms", most: 300);
    }

    /// <summary>The first requests fail until the port is bound.</summary>
    internal static async Task WaitForAnswerAsync(Func<Task> request)
    {
        while (true)
        {
            try
            {
                await request();
                return;
            }
            catch (HttpRequestException)
            {
                await Task.Delay(1);
            }
        }
    }

    internal static double ResidentKilobytes(int process) => double.Parse(
        File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
        CultureInfo.InvariantCulture);

    internal static TimeSpan CpuTime(int process) => Process.GetProcessById(process).TotalProcessorTime;
}
