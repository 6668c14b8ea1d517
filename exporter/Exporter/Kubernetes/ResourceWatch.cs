using System.Net;
using System.Text.Json;
using Exporter.Health;
using Exporter.Kubernetes.Access;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>
/// Keeps a sink up to date with a resource of the API server: one list, then one watch after the other, each from the version where the
/// previous one ended. Failed requests are repeated after random pauses; the sink keeps its objects meanwhile.
/// </summary>
/// <param name="requests">Requests for lists beside the watch; null: there are none.</param>
internal sealed partial class ResourceWatch<T>(
    ResourceApi<T> api,
    IResourceSink<T> sink,
    ListRequests? requests,
    WatchMetrics metrics,
    LoopHealth health,
    Readiness readiness,
    TimeProvider time,
    ILogger logger)
    : BackgroundService
    where T : KubernetesObject
{
    /// <summary>The duration that the API server is asked for; random for each watch, so that a cluster's nodes do not come back all at once.</summary>
    private static readonly (TimeSpan Least, TimeSpan Most) WatchTimeout = (TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(10));

    /// <summary>
    /// How long a watch may be silent. A bookmark comes about once a minute. Without one, the connection may be dead, or the version is in the
    /// future, as after a restore of etcd: the API server then waits for it in silence.
    /// </summary>
    private static readonly TimeSpan WatchPatience = TimeSpan.FromSeconds(150);

    /// <summary>A watch that lasted so long worked: no pause follows its end.</summary>
    private static readonly TimeSpan LeastLife = TimeSpan.FromSeconds(10);

    private readonly string _name = api.Resource.Name;
    private readonly RetryPauses _pauses = new(health, api.Resource.Name, time);

    /// <summary>The version from which the next watch starts; null if a list has to come first.</summary>
    private string? _version;

    /// <summary>A version that is not newer than the known objects, while the next list may be from the API server's cache; null if it may not.</summary>
    private string? _cachedSince = ResourceApi<T>.AnyAge;

    private bool _isListed;

    /// <summary>Whether the previous watch was answered and then brought nothing: an answer alone does not show that watching works.</summary>
    private bool _isFruitless;

    private readonly Trouble _failing = new();
    private readonly Trouble _gone = new();
    private readonly Trouble _unauthorized = new();
    private readonly Trouble _cuts = new();
    private readonly Trouble _failingRequests = new();

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        WaitForList("the API server has not answered yet");
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await _pauses.BeforeListOfAllNodesAsync(stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (_version is null)
                {
                    await ListAsync(stoppingToken);
                }
                else if (requests is { IsDue: true })
                {
                    await ListBesideAsync(requests, stoppingToken);
                }
                await FollowAsync(_version!, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // No error, be it of the network, of TLS or of files with credentials, may end the loop.
                await RecoverAsync(e, stoppingToken);
            }
        }
    }

    /// <summary>Notes a failure, decides whether a list has to come next, and waits before the next try.</summary>
    private async Task RecoverAsync(Exception e, CancellationToken stoppingToken)
    {
        var (answer, problem) = (e as ApiException, ApiProblems.Of(e));
        OnLost(problem, e is ApiException or TimeoutException or JsonException ? e.Message : Failure.Describe(e));
        // A list is expensive, so it follows only where the version may be at fault: after silence the version may be in the future, and an
        // event that cannot be read would come again. A watch gets 500 for a version that cannot be read, and 504 for one in the future.
        if (e is TimeoutException or JsonException
            || answer?.Code is < (int)HttpStatusCode.BadRequest or (int)HttpStatusCode.Gone or (int)HttpStatusCode.BadRequest or (int)HttpStatusCode.InternalServerError or (int)HttpStatusCode.GatewayTimeout)
        {
            _cachedSince = _version is not null ? (sink.TakesCachedLists ? _version : null)
                // The cache is behind the version, or does not know it.
                : _isListed && answer is not null ? null
                : _cachedSince;
            _version = null;
        }
        _isFruitless &= problem != ApiProblem.Gone;
        // After 410 only a list helps, and after 401 the credentials have been read again: the first time, the next request follows at once. All nodes get the 410 at
        // the same moment when the API server is started: what all of them list comes a little later.
        if (problem switch { ApiProblem.Gone => _gone.Begins(), ApiProblem.Unauthorized => _unauthorized.Begins(), _ => false })
        {
            if (problem == ApiProblem.Gone && sink.TakesCachedLists)
            {
                await _pauses.BeforeListOfAllNodesAsync(stoppingToken);
            }
            return;
        }
        await _pauses.AfterFailureAsync(answer?.RetryAfter, sink.LongestPause, stoppingToken);
    }

    /// <summary>Makes a requested list. If it fails, the watch continues, and the list is tried again later.</summary>
    private async Task ListBesideAsync(ListRequests due, CancellationToken stoppingToken)
    {
        try
        {
            await ListAsync(stoppingToken);
            _failingRequests.Ends();
        }
        catch (Exception e) when (!stoppingToken.IsCancellationRequested)
        {
            metrics.CountError(ApiProblems.Of(e));
            if (_failingRequests.Begins())
            {
                LogRequestedListFailed(_name, due.Purpose, Failure.Describe(e));
            }
            due.Postpone((e as ApiException)?.RetryAfter);
        }
    }

    private async Task ListAsync(CancellationToken stoppingToken)
    {
        metrics.Relists.Inc();
        var (askedAt, askedStamp, isCached) = (time.GetUtcNow(), time.GetTimestamp(), _cachedSince is not null);
        var objects = new List<T>();
        string? version = null, next = null;
        do
        {
            using var patience = new Patience(RetryPauses.AnswerPatience, $"an answer to the list of {_name}", time, stoppingToken);
            Heard();
            var page = await patience.WhileAsync(api.ListAsync(next, _cachedSince, Heard, patience.Token));
            objects.AddRange((page.Items ?? []).OfType<T>());
            // All pages show the state of the first.
            version ??= page.Metadata.ResourceVersion;
            next = page.Metadata.Continue;

            void Heard()
            {
                patience.Renew();
                health.Beat(_name, RetryPauses.AnswerPatience + RetryPauses.LongestRetryAfter);
            }
        }
        while (!string.IsNullOrEmpty(next));
        if (!_isListed)
        {
            LogListed(objects.Count, api.Resource.ToString(), api.Server);
        }
        if (sink.TakeList(objects, askedAt, isCached, canContinue: _version is not null))
        {
            _version = version;
        }
        _cachedSince = null;
        OnAnswered();
        requests?.Complete(askedStamp);
        _isListed = true;
        readiness.MarkReady(_name);
    }

    /// <summary>Watches until the watch has ended, as it does from time to time, or a requested list is due.</summary>
    private async Task FollowAsync(string version, CancellationToken stoppingToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var due = EndWhenListIsDueAsync(ending);
        try
        {
            await WatchAsync(version, stoppingToken, ending.Token);
        }
        catch (Exception) when (requests is { IsDue: true } && !stoppingToken.IsCancellationRequested)
        {
            // The watch was ended for the list.
        }
        finally
        {
            await ending.CancelAsync();
            await due;
        }
    }

    private async Task EndWhenListIsDueAsync(CancellationTokenSource ending)
    {
        if (requests is null)
        {
            return;
        }
        try
        {
            await requests.WaitAsync(ending.Token);
            await ending.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The watch has ended: the request is met after it.
        }
    }

    private async Task WatchAsync(string version, CancellationToken stoppingToken, CancellationToken cancellationToken)
    {
        var timeout = RetryPauses.Between(WatchTimeout.Least, WatchTimeout.Most);
        health.Beat(_name, WatchPatience + RetryPauses.LongestRetryAfter);
        using var patience = new Patience(WatchPatience, $"anything from the watch of {_name}", time, cancellationToken);
        long? answeredAt = null;
        var (hasProgressed, wasFruitless) = (false, _isFruitless);
        await using var events = api.WatchAsync(version, timeout, Heard, patience.Token).GetAsyncEnumerator(CancellationToken.None);
        try
        {
            while (await patience.WhileAsync(events.MoveNextAsync().AsTask()))
            {
                Apply(events.Current);
                hasProgressed = true;
                _gone.Ends();
            }
        }
        catch (Exception e) when (IsCut(e))
        {
            OnCut(hasProgressed, time.GetElapsedTime(answeredAt!.Value));
            await _pauses.BeforeReconnectAsync(stoppingToken);
            return;
        }
        finally
        {
            _isFruitless = answeredAt is not null && !HasLasted();
        }
        // Watches that end at once, without events, would otherwise follow each other without a pause.
        if (_isFruitless)
        {
            await _pauses.AfterFailureAsync(retryAfter: null, sink.LongestPause, stoppingToken);
        }

        bool HasLasted() => hasProgressed || (answeredAt is { } since && time.GetElapsedTime(since) >= LeastLife);

        bool IsCut(Exception e) =>
            answeredAt is not null && HasLasted() && !cancellationToken.IsCancellationRequested && e is HttpRequestException or IOException;

        void Heard()
        {
            patience.Renew();
            health.Beat(_name, WatchPatience + RetryPauses.LongestRetryAfter);
            if (answeredAt is not null || !wasFruitless)
            {
                OnHeard();
            }
            answeredAt ??= time.GetTimestamp();
        }
    }

    private void Apply(ResourceEvent<T> change)
    {
        switch (change.Type)
        {
            case "ADDED" or "MODIFIED":
                sink.Set(change.Object);
                break;
            case "DELETED":
                sink.Remove(change.Object);
                break;
        }
        if (change.Object.Metadata.ResourceVersion.Length > 0)
        {
            _version = change.Object.Metadata.ResourceVersion;
        }
    }

    private void OnHeard()
    {
        metrics.Up.Set(1);
        metrics.HeardTimestamp.SetToTimeUtc(time.GetUtcNow());
        sink.SetCurrent(true);
        if (_failing.Ends())
        {
            LogResumed(_name);
        }
        OnAnswered();
    }

    private void OnAnswered()
    {
        _pauses.Reset();
        _unauthorized.Ends();
    }

    private void OnCut(bool hadEvents, TimeSpan lasted)
    {
        metrics.CountError(ApiProblem.Cut);
        sink.SetCurrent(false);
        if (!hadEvents && _cuts.Begins())
        {
            LogCut(_name, (int)lasted.TotalSeconds);
        }
    }

    private void OnLost(ApiProblem problem, string message)
    {
        metrics.CountError(problem);
        metrics.Up.Set(0);
        sink.SetCurrent(false);
        if (!_isListed)
        {
            WaitForList(message);
        }
        // 410 Gone is routine: the API server compacts its history.
        if (problem != ApiProblem.Gone && _failing.Begins())
        {
            LogLost(_name, message);
        }
    }

    private void WaitForList(string reason) => readiness.WaitFor(_name, $"the {api.Resource} are not known yet: {reason}");

    [LoggerMessage(40, LogLevel.Warning, "Watching {Resource} failed, retrying; known {Resource} keep their names: {Reason}")]
    private partial void LogLost(string resource, string reason);

    [LoggerMessage(41, LogLevel.Information, "Watching {Resource} again")]
    private partial void LogResumed(string resource);

    [LoggerMessage(42, LogLevel.Information, "Listed {Count} {Objects} from {Server}")]
    private partial void LogListed(int count, string objects, Uri server);

    [LoggerMessage(45, LogLevel.Warning, "The connection of the watch of {Resource} was closed after {Seconds} s in which nothing came, as by a balancer that closes idle connections. It is made again each time, and counted in podnet_exporter_kubernetes_errors_total{{reason=\"cut\"}}; raise the idle time-out between this node and the API server to more than 60 s")]
    private partial void LogCut(string resource, int seconds);

    [LoggerMessage(46, LogLevel.Warning, "Listing {Resource} for {Purpose} failed, retrying later; the watch continues: {Reason}")]
    private partial void LogRequestedListFailed(string resource, string purpose, string reason);
}
