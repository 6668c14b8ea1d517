using System.Net;
using System.Text.Json;
using Exporter.Health;
using Exporter.Kubernetes.Access;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>
/// Keeps the store up to date with the API server: one list, then one watch after the other from where the last one ended. What fails is
/// tried again, soon enough that a pod that was made meanwhile is named before its counts are given up, and at random times, so that a
/// cluster's nodes do not come back at once; what is known stays known meanwhile.
/// </summary>
internal sealed partial class PodWatch(
    PodApi api,
    PodStore store,
    ChangeSignal changes,
    KubernetesMetrics metrics,
    LoopHealth health,
    Readiness readiness,
    TimeProvider time,
    ILogger<PodWatch> logger)
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

    /// <summary>A cluster's nodes may all start at once.</summary>
    private static readonly TimeSpan FirstListWithin = TimeSpan.FromSeconds(4);

    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    /// <summary>A watch that lasted so long worked: its end is not a reason to wait.</summary>
    private static readonly TimeSpan LeastLife = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ReconnectWithin = TimeSpan.FromSeconds(1);

    /// <summary>How often at most the API server is asked for a list because an interface has no pod, and how soon.</summary>
    private static readonly TimeSpan QuestionInterval = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan QuestionWithin = TimeSpan.FromSeconds(2);

    /// <summary>From a list that failed to the next try, and as much again at random; the watch goes on meanwhile.</summary>
    private static readonly TimeSpan FailedQuestionPause = TimeSpan.FromSeconds(30);

    /// <summary>Half of the time that counts without a pod are held: a retry, a list and the joining come within the other half.</summary>
    private TimeSpan MostPause => new(Math.Clamp(store.Keep.Ticks / 2, LeastPause.Ticks * 2, LongestPause.Ticks));

    /// <summary>What the next watch starts from; null where only a list helps.</summary>
    private string? _version;

    private bool _isListed;
    private readonly Trouble _failing = new();

    /// <summary>Whether the last request failed as well.</summary>
    private bool _hasFailed;

    /// <summary>Whether the last watch was answered and then brought nothing: an answer alone does not show that watching works.</summary>
    private bool _isFruitless;

    private readonly Trouble _gone = new();
    private readonly Trouble _unauthorized = new();
    private readonly Trouble _cuts = new();
    private readonly Trouble _noNode = new();

    /// <summary>Whether an interface has no pod, and whether it is time to list for that.</summary>
    private (bool IsAsked, bool IsDue) _question;

    /// <summary>No list is asked for because of an interface before that time.</summary>
    private DateTimeOffset _mayAskAt;

    private readonly Trouble _unanswered = new();

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        WaitForList("the API server has not answered yet");
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await PauseAsync(Between(TimeSpan.Zero, FirstListWithin), stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (_version is null)
                {
                    await ListAsync(stoppingToken);
                }
                else if (_question.IsDue)
                {
                    await AskAsync(stoppingToken);
                }
                await FollowAsync(_version!, stoppingToken);
            }
            catch (ApiException e)
            {
                var problem = ProblemOf(e);
                Lost(problem, e.Message);
                // Any other answer says little of the version, and a list is dear. A watch's 500 is what a version gets that cannot be
                // read, and 504 one that is still to come.
                if (e.Code is < (int)HttpStatusCode.BadRequest or (int)HttpStatusCode.Gone or (int)HttpStatusCode.BadRequest or (int)HttpStatusCode.InternalServerError or (int)HttpStatusCode.GatewayTimeout)
                {
                    _version = null;
                }
                _isFruitless &= problem != ApiProblem.Gone;
                // After 410 only a list helps, after 401 the credentials have been read again: both are tried at once, but not over and over.
                if (problem switch { ApiProblem.Gone => _gone.Begins(), ApiProblem.Unauthorized => _unauthorized.Begins(), _ => false })
                {
                    continue;
                }
                await DelayAsync(e.RetryAfter, stoppingToken);
            }
            catch (TimeoutException e)
            {
                Lost(ProblemOf(e), e.Message);
                _version = null;
                await DelayAsync(null, stoppingToken);
            }
            catch (JsonException e)
            {
                Lost(ProblemOf(e), e.Message);
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
                Lost(ProblemOf(e), Failure.Describe(e));
                await DelayAsync(null, stoppingToken);
            }
        }
    }

    private static ApiProblem ProblemOf(Exception e) => e switch
    {
        ApiException answer => ProblemOf(answer.Code),
        TimeoutException => ApiProblem.Silent,
        JsonException => ApiProblem.Unreadable,
        _ => ApiProblem.Unreachable,
    };

    private static ApiProblem ProblemOf(int code) => (HttpStatusCode)code switch
    {
        HttpStatusCode.Unauthorized => ApiProblem.Unauthorized,
        HttpStatusCode.Forbidden => ApiProblem.Forbidden,
        HttpStatusCode.Gone => ApiProblem.Gone,
        HttpStatusCode.TooManyRequests => ApiProblem.TooManyRequests,
        _ => ApiProblem.Refused,
    };

    /// <summary>Lists the pods because of an interface without one. If that fails, the watch goes on all the same, and the list is tried again later.</summary>
    private async Task AskAsync(CancellationToken stoppingToken)
    {
        try
        {
            await ListAsync(stoppingToken);
            _unanswered.Ends();
        }
        catch (Exception e) when (!stoppingToken.IsCancellationRequested)
        {
            metrics.CountError(ProblemOf(e));
            if (_unanswered.Begins())
            {
                LogUnanswered(Failure.Describe(e));
            }
            var pause = LimitRetryAfter((e as ApiException)?.RetryAfter) ?? FailedQuestionPause;
            (_mayAskAt, _question) = (time.GetUtcNow() + (pause * (1 + Random.Shared.NextDouble())), (true, false));
        }
    }

    /// <summary>
    /// Lists the pods. The watch starts from that list only if it had nothing to go on from, or did not deliver what the last list showed: else
    /// events that lie between would be missed, and so the pods that came and went.
    /// </summary>
    private async Task ListAsync(CancellationToken stoppingToken)
    {
        metrics.Relists.Inc();
        var (askedAt, isCached, isQuestion) = (time.GetUtcNow(), !_isListed, _question.IsDue);
        var pods = new List<PodDocument>();
        string? version = null, next = null;
        do
        {
            health.Beat(LoopName, AnswerPatience + LongestRetryAfter);
            using var patience = new Patience(AnswerPatience, "an answer to the list of pods", time, stoppingToken);
            var page = await patience.WhileAsync(api.ListAsync(next, isCached, patience.Token));
            pods.AddRange((page.Items ?? []).OfType<PodDocument>());
            // All pages show the state of the first.
            version ??= page.Metadata.ResourceVersion;
            next = page.Metadata.Continue;
        }
        while (!string.IsNullOrEmpty(next));
        if (_version is null || store.IsBehind)
        {
            store.Reset(pods, askedAt, isCached);
            _version = version;
        }
        else
        {
            store.Await(pods, askedAt);
        }
        Changed();
        Answered();
        (_mayAskAt, _question) = (askedAt + QuestionInterval, default);
        if (isQuestion && store.Count == 0 && _noNode.Begins())
        {
            LogNoNode(api.Node);
        }
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
    }

    /// <summary>Returns when the watch has ended, as it does from time to time, or when there is a reason to list again.</summary>
    private async Task FollowAsync(string version, CancellationToken stoppingToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var question = WaitForQuestionAsync(ending);
        try
        {
            await WatchAsync(version, stoppingToken, ending.Token);
        }
        catch (Exception) when (_question.IsDue && !stoppingToken.IsCancellationRequested)
        {
            // The watch was ended for the list.
        }
        finally
        {
            await ending.CancelAsync();
            await question;
        }
    }

    private async Task WatchAsync(string version, CancellationToken stoppingToken, CancellationToken cancellationToken)
    {
        var timeout = Between(WatchTimeout.Least, WatchTimeout.Most);
        health.Beat(LoopName, WatchPatience + LongestRetryAfter);
        using var patience = new Patience(WatchPatience, "anything from the watch of pods", time, cancellationToken);
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
            metrics.CountError(ApiProblem.Cut);
            store.SetCurrent(false);
            if (!hasProgressed && _cuts.Begins())
            {
                LogCut((int)time.GetElapsedTime(answeredAt!.Value).TotalSeconds);
            }
            await PauseAsync(Between(TimeSpan.Zero, ReconnectWithin), stoppingToken);
            return;
        }
        finally
        {
            _isFruitless = answeredAt is not null && !HasLasted();
        }
        // The API server ends a watch when it is asked to; one that ends with nothing said would be asked for again and again.
        if (_isFruitless)
        {
            await DelayAsync(null, stoppingToken);
        }

        bool HasLasted() => hasProgressed || (answeredAt is { } since && time.GetElapsedTime(since) >= LeastLife);

        bool IsCut(Exception e) =>
            answeredAt is not null && HasLasted() && !cancellationToken.IsCancellationRequested && e is HttpRequestException or IOException;

        void Heard()
        {
            patience.Renew();
            health.Beat(LoopName, WatchPatience + LongestRetryAfter);
            if (answeredAt is not null || !wasFruitless)
            {
                Found();
            }
            answeredAt ??= time.GetTimestamp();
        }
    }

    /// <summary>Ends the watch when an interface has no pod, and the API server was not asked for that just before.</summary>
    private async Task WaitForQuestionAsync(CancellationTokenSource ending)
    {
        try
        {
            if (store.IsBehind)
            {
                await Task.Delay(UntilNextQuestion(), time, ending.Token);
            }
            // A watch that is still behind by then does not deliver what it should: the next list takes its place.
            if (!_question.IsAsked && !store.IsBehind)
            {
                await store.Questions.WaitAsync(ending.Token);
            }
            _question = (true, false);
            await Task.Delay(UntilNextQuestion() + Between(TimeSpan.Zero, QuestionWithin), time, ending.Token);
            _question = (true, true);
            await ending.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The watch has ended: what is asked is asked after it.
        }
    }

    private TimeSpan UntilNextQuestion()
    {
        var rest = _mayAskAt - time.GetUtcNow();
        return rest.Ticks > 0 ? rest : TimeSpan.Zero;
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
        if (_failing.Ends())
        {
            LogFound();
        }
        Answered();
    }

    private void Answered()
    {
        _hasFailed = false;
        _unauthorized.Ends();
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
        if (problem != ApiProblem.Gone && _failing.Begins())
        {
            LogLost(message);
        }
    }

    private void WaitForList(string reason) => readiness.WaitFor(LoopName, $"the pods of node {api.Node} are not known yet: {reason}");

    /// <summary>Waits as long as is asked for and some more, or for a random time.</summary>
    private async Task DelayAsync(TimeSpan? asked, CancellationToken stoppingToken)
    {
        var delay = LimitRetryAfter(asked) is { } given
            ? given * (1 + (Random.Shared.NextDouble() / 2))
            : Between(_hasFailed ? MostPause / 2 : LeastPause, MostPause);
        _hasFailed = true;
        await PauseAsync(delay, stoppingToken);
    }

    /// <summary>Null where nothing is asked for: to come back at once, as nothing but a proxy asks for, would be a storm of requests.</summary>
    private static TimeSpan? LimitRetryAfter(TimeSpan? asked) =>
        asked is { Ticks: > 0 } given ? (given > LongestRetryAfter ? LongestRetryAfter : given) : null;

    private async Task PauseAsync(TimeSpan pause, CancellationToken stoppingToken)
    {
        health.Beat(LoopName, pause + AnswerPatience + LongestRetryAfter);
        await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
    }

    /// <summary>A random time; never less than a millisecond, which Task.Delay takes for no pause at all.</summary>
    private static TimeSpan Between(TimeSpan least, TimeSpan most) =>
        new(Math.Max((least + ((most - least) * Random.Shared.NextDouble())).Ticks, TimeSpan.TicksPerMillisecond));

    [LoggerMessage(40, LogLevel.Warning, "Watching pods failed, retrying; known pods keep their names: {Reason}")]
    private partial void LogLost(string reason);

    [LoggerMessage(41, LogLevel.Information, "Watching pods again")]
    private partial void LogFound();

    [LoggerMessage(42, LogLevel.Information, "Listed {Count} pods of node {Node} from {Server}")]
    private partial void LogListed(int count, string node, Uri server);

    [LoggerMessage(43, LogLevel.Warning, "Node {Node} has no pods: check Kubernetes:NodeName if that is wrong")]
    private partial void LogNoPods(string node);

    [LoggerMessage(46, LogLevel.Warning, "Listing pods for an interface without a pod failed, retrying later; the watch continues: {Reason}")]
    private partial void LogUnanswered(string reason);

    [LoggerMessage(44, LogLevel.Warning, "No pod is on node {Node}, but interfaces of pods are here: set Kubernetes:NodeName to this node's name as the cluster knows it")]
    private partial void LogNoNode(string node);

    [LoggerMessage(45, LogLevel.Warning, "The connection of the watch of pods was closed after {Seconds} s in which nothing came, as by a balancer that closes idle connections. It is made again each time, and counted in podnet_exporter_kubernetes_errors_total{{reason=\"cut\"}}; raise the idle time-out between this node and the API server to more than 60 s")]
    private partial void LogCut(int seconds);

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
