using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Debian's Prometheus on the loopback interface, scraping every half second into a directory of its own.</summary>
internal sealed class PrometheusServer : IDisposable
{
    private readonly string _directory;
    private readonly Process _process;
    private readonly HttpClient _http;

    private PrometheusServer(string directory, Process process, int port)
    {
        _directory = directory;
        _process = process;
        _http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}") };
    }

    internal static async Task<PrometheusServer> StartAsync(int target)
    {
        var directory = Directory.CreateTempSubdirectory("podnet-prometheus-").FullName;
        var port = ExporterProcess.FreePort();
        var configuration = Path.Combine(directory, "prometheus.yml");
        await File.WriteAllTextAsync(configuration, $"""
            global: {"{"}scrape_interval: 500ms, scrape_timeout: 400ms{"}"}
            scrape_configs:
              - job_name: podnet
                honor_labels: true
                static_configs: [{"{"}targets: ["127.0.0.1:{target}"]{"}"}]
            """);
        var process = Process.Start(new ProcessStartInfo(
            "prometheus",
            [$"--config.file={configuration}", $"--storage.tsdb.path={directory}/data", $"--web.listen-address=127.0.0.1:{port}", "--log.level=error"])
        {
            RedirectStandardError = true,
        })!;
        process.BeginErrorReadLine();
        return new PrometheusServer(directory, process, port);
    }

    /// <summary>Asks until there is one value that is as wanted, doing something in between.</summary>
    internal async Task<double> QueryUntilAsync(string query, Func<double, bool> wanted, Action meanwhile)
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(60))
        {
            meanwhile();
            try
            {
                using var answer = JsonDocument.Parse(await _http.GetStringAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}"));
                foreach (var result in answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray())
                {
                    var value = double.Parse(result.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture);
                    if (wanted(value))
                    {
                        return value;
                    }
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }
        }
        throw new InvalidOperationException($"Prometheus has no such value: {query}");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        _http.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
