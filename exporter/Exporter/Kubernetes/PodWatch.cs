using System.Net;
using System.Text.Json;
using Exporter.Discovery;
using Exporter.Health;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>
/// Keeps the store up to date with the API server: one list, then one watch after the other from where the last one ended. What goes
/// wrong is tried again, with more and more time between; what is known stays known meanwhile.
/// </summary>
internal sealed partial class PodWatch(
    PodApi api, PodStore store, ChangeSignal changes, KubernetesMetrics metrics, LoopHealth health, Readiness readiness, TimeProvider time, ILogger<PodWatch> logger)
    : BackgroundService
{
    private const string LoopName = "pods";

    /// <summary>Of what the API server is asked for; drawn anew each time, so that a cluster's nodes do not come back all at once.</summary>
    private static readonly (TimeSpan Least, TimeSpan Most) WatchTimeout = (TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(10));

    /// <summary>Answers come at once, or after a place in a queue that an API server gives up after 15 seconds.</summary>
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(30);

    /// <summary>
    /// A bookmark comes about once a minute. Where nothing does, the connection may be dead, or the version is one that is still to come,
    /// as after a restore of etcd: the API server then waits for it in silence.
    /// </summary>
    private static readonly TimeSpan WatchPatience = TimeSpan.FromSeconds(150);

    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromMinutes(2);

    private readonly Backoff _retry = new(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30));

    /// <summary>What the next watch starts from; null where only a list helps.</summary>
    private string? _version;

    private bool _isListed;
    private bool _isFailing;
    private bool _hasProgressed = true;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        WaitForList("the API server has not answered yet");
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Whoever starts the loops goes on.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(_version ??= await ListAsync(stoppingToken), stoppingToken);
            }
            catch (ApiException e)
            {
                var problem = ProblemOf(e.Code);
                Lost(problem, e.Message);
                // Any other answer says little of the version, and a list is dear. A watch's 500 is what a version gets that cannot be
                // read, and 504 one that is still to come.
                if (e.Code is < (int)HttpStatusCode.BadRequest or (int)HttpStatusCode.Gone or (int)HttpStatusCode.BadRequest or (int)HttpStatusCode.InternalServerError or (int)HttpStatusCode.GatewayTimeout)
                {
                    _version = null;
                }
                if (problem != ApiProblem.Gone || !_hasProgressed)
                {
                    await DelayAsync(e.RetryAfter, stoppingToken);
                }
                _hasProgressed = false;
            }
            catch (TimeoutException e)
            {
                Lost(ApiProblem.Silent, e.Message);
                _version = null;
                await DelayAsync(null, stoppingToken);
            }
            catch (JsonException e)
            {
                Lost(ApiProblem.Unreadable, e.Message);
                // What cannot be read would come again.
                _version = null;
                await DelayAsync(null, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Whatever it is, of the network, of TLS, of files with credentials: it must not end what is known.
                Lost(ApiProblem.Unreachable, PodApi.Explain(e));
                await DelayAsync(null, stoppingToken);
            }
        }
    }

    private static ApiProblem ProblemOf(int code) => (HttpStatusCode)code switch
    {
        HttpStatusCode.Unauthorized => ApiProblem.Unauthorized,
        HttpStatusCode.Forbidden => ApiProblem.Forbidden,
        HttpStatusCode.Gone => ApiProblem.Gone,
        HttpStatusCode.TooManyRequests => ApiProblem.TooManyRequests,
        _ => ApiProblem.Refused,
    };

    /// <returns>The version that it shows.</returns>
    private async Task<string> ListAsync(CancellationToken stoppingToken)
    {
        metrics.Relists.Inc();
        var askedAt = time.GetUtcNow();
        var pods = new List<PodDocument>();
        string? version = null, next = null;
        do
        {
            health.Beat(LoopName, AnswerPatience + LongestRetryAfter);
            using var patience = new Patience(AnswerPatience, "an answer to the list of pods", time, stoppingToken);
            var page = await patience.WhileAsync(api.ListAsync(next, patience.Token));
            pods.AddRange((page.Items ?? []).OfType<PodDocument>());
            // All pages show the state of the first.
            version ??= page.Metadata.ResourceVersion;
            next = page.Metadata.Continue;
        }
        while (!string.IsNullOrEmpty(next));
        store.Reset(pods, askedAt);
        Changed();
        if (!_isListed)
        {
            LogListed(store.Count, api.Node, api.Server);
            if (store.Count == 0)
            {
                LogNoPods(api.Node);
            }
        }
        _isListed = true;
        readiness.Has(LoopName);
        return version;
    }

    private async Task FollowAsync(string version, CancellationToken stoppingToken)
    {
        var timeout = WatchTimeout.Least + (Random.Shared.NextDouble() * (WatchTimeout.Most - WatchTimeout.Least));
        health.Beat(LoopName, WatchPatience + LongestRetryAfter);
        using var patience = new Patience(WatchPatience, "anything from the watch of pods", time, stoppingToken);
        var hasProgressed = false;
        await using var events = api.WatchAsync(version, timeout, Heard, patience.Token).GetAsyncEnumerator(CancellationToken.None);
        while (await patience.WhileAsync(events.MoveNextAsync().AsTask()))
        {
            Apply(events.Current);
            hasProgressed = _hasProgressed = true;
            _retry.Reset();
        }
        // It ends a watch when it is asked to; one that ends with nothing said would be asked for again and again.
        if (!hasProgressed)
        {
            await DelayAsync(null, stoppingToken);
        }

        void Heard()
        {
            patience.Renew();
            health.Beat(LoopName, WatchPatience + LongestRetryAfter);
            Found();
        }
    }

    private void Apply(PodEvent change)
    {
        switch (change.Type)
        {
            case "ADDED" or "MODIFIED":
                store.Set(change.Pod);
                Changed();
                break;
            case "DELETED":
                store.Remove(change.Pod);
                Changed();
                break;
        }
        store.RemoveExpired();
        if (change.Pod.Metadata.ResourceVersion.Length > 0)
        {
            _version = change.Pod.Metadata.ResourceVersion;
        }
    }

    private void Changed()
    {
        metrics.Pods.Set(store.Count);
        changes.Set();
    }

    private void Found()
    {
        metrics.WatchUp.Set(1);
        metrics.HeardTimestamp.SetToTimeUtc(time.GetUtcNow());
        store.SetCurrent(true);
        if (_isFailing)
        {
            LogFound();
        }
        _isFailing = false;
    }

    private void Lost(ApiProblem problem, string message)
    {
        metrics.CountError(problem);
        metrics.WatchUp.Set(0);
        store.SetCurrent(false);
        if (!_isListed)
        {
            WaitForList(message);
        }
        // That its past is cut off is the API server's way of keeping house.
        if (!_isFailing && problem != ApiProblem.Gone)
        {
            LogLost(message);
            _isFailing = true;
        }
    }

    private void WaitForList(string reason) => readiness.WaitFor(LoopName, $"the pods of node {api.Node} are not known yet: {reason}");

    /// <summary>Waits as long as is asked for, or longer each time, and some more by chance.</summary>
    private async Task DelayAsync(TimeSpan? asked, CancellationToken stoppingToken)
    {
        // To come back at once, as nothing but a proxy asks for, would be a storm of requests.
        var delay = asked is { Ticks: > 0 } given ? (given > LongestRetryAfter ? LongestRetryAfter : given) : _retry.Next();
        delay *= 1 + (Random.Shared.NextDouble() / 2);
        health.Beat(LoopName, delay + AnswerPatience + LongestRetryAfter);
        await Task.Delay(delay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    [LoggerMessage(40, LogLevel.Warning, "The API server cannot be asked for pods; those that are known stay known, trying again: {Reason}")]
    private partial void LogLost(string reason);

    [LoggerMessage(41, LogLevel.Information, "The API server tells of pods again")]
    private partial void LogFound();

    [LoggerMessage(42, LogLevel.Information, "{Count} pods of node {Node} are known from {Server}")]
    private partial void LogListed(int count, string node, Uri server);

    [LoggerMessage(43, LogLevel.Warning, "There are no pods on node {Node}: check Kubernetes:NodeName if that is wrong")]
    private partial void LogNoPods(string node);

    /// <summary>How long something is waited for; renewed while it comes.</summary>
    private sealed class Patience : IDisposable
    {
        private readonly CancellationTokenSource _over;
        private readonly CancellationTokenSource _either;
        private readonly TimeSpan _patience;
        private readonly string _what;

        internal Patience(TimeSpan patience, string what, TimeProvider time, CancellationToken stoppingToken)
        {
            (_patience, _what) = (patience, what);
            _over = new(patience, time);
            _either = CancellationTokenSource.CreateLinkedTokenSource(_over.Token, stoppingToken);
        }

        internal CancellationToken Token => _either.Token;

        internal void Renew() => _over.CancelAfter(_patience);

        /// <exception cref="TimeoutException">It is at its end.</exception>
        internal async Task<T> WhileAsync<T>(Task<T> task)
        {
            try
            {
                return await task;
            }
            catch (OperationCanceledException e) when (_over.IsCancellationRequested)
            {
                throw new TimeoutException($"Nothing came for {_patience.TotalSeconds} s while waiting for {_what}", e);
            }
        }

        public void Dispose()
        {
            _either.Dispose();
            _over.Dispose();
        }
    }
}
