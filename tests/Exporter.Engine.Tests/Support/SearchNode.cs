using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Exporter.Tests.Support;

namespace Exporter.Engine.Tests.Support;

/// <summary>A real node of OpenSearch on a port of the loopback interface.</summary>
internal sealed class SearchNode : IAsyncDisposable
{
    private const int HeapMegabytes = 512;

    private readonly JavaProcess _process;
    private readonly HttpClient _http;

    private SearchNode(JavaProcess process, int port)
    {
        _process = process;
        Url = new($"http://127.0.0.1:{port}");
        _http = new() { BaseAddress = Url };
    }

    internal Uri Url { get; }

    internal string Log => _process.Log;

    /// <summary>Starts a node and waits until it answers.</summary>
    /// <param name="settings">Settings of OpenSearch, each as name=value.</param>
    internal static async Task<SearchNode> StartAsync(params IEnumerable<string> settings)
    {
        var jars = Engines.OpenSearch;
        var (port, transport) = (FreePort.Take(), FreePort.Take());
        var launcher = Path.Combine(Repository.Root, "scripts", "OpenSearchNode.java");
        var node = new SearchNode(
            new(directory => JavaProcess.Java(
                jars, HeapMegabytes, launcher, Path.Combine(directory, "home"), port.ToString(CultureInfo.InvariantCulture), transport.ToString(CultureInfo.InvariantCulture)).Concat(settings)),
            port);
        try
        {
            await node.RestartAsync();
            return node;
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    /// <summary>Kills the node at once (-9). It is away until <see cref="RestartAsync"/>.</summary>
    internal Task KillAsync() => _process.KillAsync();

    /// <summary>Ends the node (SIGTERM). It is away until <see cref="RestartAsync"/>.</summary>
    internal Task StopAsync() => _process.StopAsync();

    /// <summary>Holds the node, which takes connections and answers nothing, or lets it continue.</summary>
    internal Task HoldAsync(bool isHeld) => _process.HoldAsync(isHeld);

    /// <summary>Starts the node that was killed or ended, and waits until all that it has can be read and written: its health is not red.</summary>
    internal Task RestartAsync() => _process.StartAsync(async () =>
    {
        try
        {
            var health = await _http.GetFromJsonAsync<JsonElement>("/_cluster/health");
            return health.GetProperty("status").GetString() != "red";
        }
        catch (HttpRequestException)
        {
            return false;
        }
    });

    /// <summary>Sends a request with a body of JSON, or without one.</summary>
    /// <returns>The answer.</returns>
    /// <exception cref="InvalidOperationException">It is an error.</exception>
    internal async Task<JsonElement> RequestAsync(HttpMethod method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        using var answer = await _http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? JsonElement.Parse(text) : throw new InvalidOperationException($"{method} {path}: {(int)answer.StatusCode} {text}");
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _process.DisposeAsync();
    }
}
