using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Debian's Prometheus on the loopback interface, scraping every half second.</summary>
internal sealed class PrometheusServer : IDisposable
{

    /// <summary>Between questions: a scrape has no event to wait for.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);

    private readonly Daemon _daemon;
    private readonly HttpClient _http;

    private PrometheusServer(Daemon daemon, int port)
    {
        _daemon = daemon;
        _http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}") };
    }

    /// <param name="target">The exporter's port.</param>
    /// <param name="configure">Puts files into the directory and says what else is in the configuration.</param>
    internal static PrometheusServer Start(int target, Func<string, string>? configure = null)
    {
        var port = ExporterProcess.FreePort();
        return new(
            Daemon.Start(directory =>
            {
                var configuration = Path.Combine(directory, "prometheus.yml");
                File.WriteAllText(configuration, $$"""
                    global: {scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 1s}
                    scrape_configs:
                      - job_name: podnet
                        honor_labels: true
                        static_configs: [{targets: ["127.0.0.1:{{target}}"]}]
                    {{configure?.Invoke(directory)}}
                    """);
                return ["prometheus", $"--config.file={configuration}", $"--storage.tsdb.path={directory}/data", $"--web.listen-address=127.0.0.1:{port}", "--log.level=error"];
            }),
            port);
    }

    /// <summary>The values of an instant; NaN, which is none, not among them.</summary>
    internal async Task<IReadOnlyList<double>> QueryAsync(string query)
    {
        using var answer = await GetAsync($"query?query={Uri.EscapeDataString(query)}");
        return
        [
            .. answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray()
                .Select(result => double.Parse(result.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture))
                .Where(value => !double.IsNaN(value)),
        ];
    }

    /// <summary>What the API's page answers.</summary>
    /// <exception cref="InvalidOperationException">It is an error.</exception>
    internal async Task<JsonDocument> GetAsync(string page)
    {
        using var response = await _http.GetAsync($"/api/v1/{page}");
        var text = await response.Content.ReadAsStringAsync();
        return response.StatusCode switch
        {
            HttpStatusCode.OK => JsonDocument.Parse(text),
            // It is starting.
            HttpStatusCode.ServiceUnavailable => throw new HttpRequestException(text),
            _ => throw new InvalidOperationException($"{page}: {text}"),
        };
    }

    /// <summary>Asks until there is one value that is as wanted, doing something in between.</summary>
    internal async Task<double> QueryUntilAsync(string query, Func<double, bool> wanted, Action meanwhile)
    {
        double? found = null;
        await WaitUntilAsync(
            async () =>
            {
                meanwhile();
                found = (await QueryAsync(query)).Where(wanted).Select(value => (double?)value).FirstOrDefault();
                return found is not null;
            },
            () => $"Prometheus has no such value: {query}");
        return found!.Value;
    }

    /// <summary>Tries until it is so.</summary>
    internal async Task WaitUntilAsync(Func<Task<bool>> isSo, Func<string> complaint)
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < Silence.Limit)
        {
            try
            {
                if (await isSo())
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet, or not ready.
            }
            await Task.Delay(Pace);
        }
        throw new InvalidOperationException($"{complaint()}\n{_daemon.Errors}");
    }

    public void Dispose()
    {
        _daemon.Dispose();
        _http.Dispose();
    }
}
