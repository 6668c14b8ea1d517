using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;
using Prometheus;

namespace Exporter.Tests.Support;

/// <summary>A node's watch of its pods, as the program has it, by a clock that only a test moves on.</summary>
internal sealed class WatchingNode : IAsyncDisposable
{
    internal const string Name = "worker-1";

    private readonly ApiConnection _connection;
    private readonly ApiServer _server;
    private readonly ChangeSignal _changes = new();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly ResourceWatch<PodDocument> _watch;
    private readonly SemaphoreSlim _askedWatches = new(0);
    private readonly SemaphoreSlim _answeredWatches = new(0);

    /// <param name="connection">In place of the one that the server's kubeconfig makes; disposed of with this.</param>
    internal WatchingNode(ApiServer server, ApiConnection? connection = null)
    {
        _server = server;
        var options = TestOptions.Read(("Kubernetes:NodeName", Name), ("Kubernetes:Kubeconfig", server.Files.Kubeconfig));
        _connection = connection ?? new(options.Kubernetes);
        Store = new(Clock, options.Identity.HoldFor);
        Health = new(Clock);
        var metrics = new KubernetesMetrics(Prometheus.Metrics.WithCustomRegistry(_registry));
        var feed = new PodFeed(Name, Store, _changes, metrics, Clock, Logger);
        _watch = new(new(SendAsync, _connection.Server, PodDocument.OfNode(Name)), feed, feed.Requests, metrics.PodWatch, Health, Readiness, Clock, Logger);
    }

    internal PausingClock Clock { get; } = new();

    internal PodStore Store { get; }

    internal LoopHealth Health { get; }

    internal Readiness Readiness { get; } = new();

    internal RecordingLogger<PodFeed> Logger { get; } = new();

    /// <summary>Each with its phase and addresses, by their names.</summary>
    internal IReadOnlyList<string> Pods =>
        [.. Store.Pods.Select(pod => pod.State).Select(pod => $"{pod.Description.Namespace}/{pod.Description.Name} {pod.Phase} {string.Join(' ', pod.Addresses)}".Trim()).Order(StringComparer.Ordinal)];

    /// <summary>What was logged, without what differs from case to case.</summary>
    internal IReadOnlyList<string> Told => [.. Logger.Entries.Select(entry => entry.Text.Split([" of node", "; ", ": "], StringSplitOptions.None)[0])];

    public async ValueTask DisposeAsync()
    {
        await _watch.StopAsync(CancellationToken.None);
        var loop = _watch.ExecuteTask;
        _watch.Dispose();
        _connection.Dispose();
        _askedWatches.Dispose();
        _answeredWatches.Dispose();
        Assert.False(loop is { IsFaulted: true }, $"The loop has died: {loop?.Exception}");
    }

    /// <summary>Starts, and lets the pause before the first list pass.</summary>
    internal async Task StartAsync()
    {
        await _watch.StartAsync(CancellationToken.None);
        FirstPause = await PassAsync();
    }

    internal TimeSpan FirstPause { get; private set; }

    /// <summary>Starts, and returns when the watch from the first list has been asked for.</summary>
    internal async Task<ApiRequest> StartWatchingAsync()
    {
        await StartAsync();
        return await NextWatchAsync();
    }

    /// <summary>Starts, and returns when the first watch is open: what breaks then has begun.</summary>
    internal async Task StartFollowingAsync()
    {
        await StartAsync();
        await WatchIsOpenAsync();
    }

    /// <summary>Waits for one more watch that is answered, by whatever status.</summary>
    internal async Task WatchIsOpenAsync() => Assert.True(await _answeredWatches.WaitAsync(Silence.Limit), "no watch was answered");

    /// <summary>Waits for one more watch that is asked for, whether or not that reaches the server.</summary>
    internal async Task WatchIsAskedForAsync() => Assert.True(await _askedWatches.WaitAsync(Silence.Limit), "no watch was asked for");

    internal async Task StopAsync() => await _watch.StopAsync(CancellationToken.None);

    internal Task<ApiRequest> NextWatchAsync(int after = 0) => _server.WaitForRequestAsync(request => request.IsWatch, after);

    internal Task<ScrapedText> ScrapeAsync() => ScrapedText.OfAsync(_registry);

    internal async Task<double> CountErrorsAsync(string reason) => (await ScrapeAsync())[$"podnet_exporter_kubernetes_errors_total{{resource=\"pods\",reason=\"{reason}\"}}"];

    /// <summary>Moves the clock on. However long it is made wait, the loop is as it should be.</summary>
    internal void Advance(TimeSpan by)
    {
        Clock.Advance(by);
        Assert.Empty(Health.Stuck());
    }

    /// <summary>Waits for the next pause and lets it pass.</summary>
    internal async Task<TimeSpan> PassAsync()
    {
        var pause = await Clock.NextPauseAsync();
        Advance(pause);
        return pause;
    }

    /// <summary>Lets pauses pass until such a request comes.</summary>
    internal async Task<ApiRequest> PassUntilAsync(Func<ApiRequest, bool> matches, int after = 0)
    {
        var found = _server.WaitForRequestAsync(matches, after);
        while (true)
        {
            using var over = new CancellationTokenSource();
            var pausing = Clock.WaitForPauseAsync(over.Token);
            await Task.WhenAny(found, pausing);
            await over.CancelAsync();
            if (found.IsCompleted)
            {
                return await found;
            }
            if (Clock.TryTakePause(out var pause))
            {
                Advance(pause);
            }
        }
    }

    /// <summary>Returns when the watch has read an answer at the present time of its clock: the server sends it before.</summary>
    internal async Task AnswerIsReadAsync()
    {
        using var deadline = new CancellationTokenSource(Silence.Limit);
        while (Store.HeardAt < Clock.GetUtcNow())
        {
            await Task.Delay(1, deadline.Token);
        }
    }

    /// <summary>Returns when the store has changed so that this is the case.</summary>
    internal async Task UntilAsync(Func<bool> isSo)
    {
        using var deadline = new CancellationTokenSource(Silence.Limit);
        while (!isSo())
        {
            try
            {
                await _changes.WaitAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"It did not come to that, the pods are:\n{string.Join('\n', Pods)}");
            }
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var isWatch = request.RequestUri!.Query.Contains("watch=true", StringComparison.Ordinal);
        if (isWatch)
        {
            _askedWatches.Release();
        }
        var response = await _connection.SendAsync(request, cancellationToken);
        if (isWatch)
        {
            _answeredWatches.Release();
        }
        return response;
    }
}
