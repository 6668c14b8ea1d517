using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Text.Json.Serialization;
using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;
using Prometheus;

namespace Exporter.Tests;

/// <summary>The watch with a resource that the program does not have: all that it knows of pods is in their room.</summary>
public sealed class ResourceWatchTests : IAsyncLifetime
{
    private const string ListText = """{"kind":"ServiceList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"listed"}}]}""";

    private static readonly Resource<Service> Services =
        new("services", "api/v1/services", Node: null, "ServiceList", ServiceContext.Default.ResourcePageService, ServiceContext.Default.ObjectEventService);

    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly PausingClock _clock = new();
    private readonly Readiness _readiness = new();
    private readonly RecordingLogger<ResourceWatchTests> _logger = new();
    private readonly ServiceSink _sink = new();
    private readonly ConcurrentQueue<string> _requests = new();
    private readonly Pipe _events = new();
    private readonly ResourceWatch<Service> _watch;
    private HttpStatusCode _watchStatus = HttpStatusCode.OK;
    private Func<string, HttpStatusCode> _listStatus = static _ => HttpStatusCode.OK;
    private PartStream? _list;

    public ResourceWatchTests()
    {
        var metrics = Prometheus.Metrics.WithCustomRegistry(_registry);
        _ = new KubernetesMetrics(metrics);
        _watch = new(new(SendAsync, new("https://127.0.0.1"), Services), _sink, requests: null, new(metrics, "services"), new LoopHealth(_clock), _readiness, _clock, _logger);
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _watch.StopAsync(CancellationToken.None);
        _watch.Dispose();
    }

    [Fact]
    public async Task Any_resource_is_listed_once_and_its_events_follow()
    {
        await StartAsync();
        await SendEventAsync("ADDED", "added", "8");
        await SendEventAsync("BOOKMARK", "", "9");
        await SendEventAsync("DELETED", "added", "10");

        Assert.Equal(["list listed", "set added", "remove added"], await _sink.TakeAsync(3));
        Assert.Equal("/api/v1/services?limit=500&resourceVersion=0", _requests.First());
        Assert.Matches("^/api/v1/services\\?watch=true&allowWatchBookmarks=true&timeoutSeconds=\\d+&resourceVersion=7$", _requests.Last());
        Assert.Equal(2, _requests.Count);
    }

    [Fact]
    public async Task The_metrics_of_each_resource_are_its_own()
    {
        await StartAsync();
        await SendEventAsync("ADDED", "added", "8");
        await _sink.TakeAsync(2);
        var scrape = await ScrapedText.OfAsync(_registry);

        Assert.Equal((1, 0), (scrape["podnet_exporter_kubernetes_watch_up{resource=\"services\"}"], scrape["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]));
        Assert.Equal((1, 0), (scrape["podnet_exporter_kubernetes_relists_total{resource=\"services\"}"], scrape["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]));
    }

    [Fact]
    public async Task Readiness_errors_and_the_log_name_the_resource()
    {
        _watchStatus = HttpStatusCode.Forbidden;
        await _watch.StartAsync(CancellationToken.None);
        Assert.Equal(["the services are not known yet: the API server has not answered yet"], _readiness.Reasons);
        _clock.Advance(await _clock.NextPauseAsync());
        await _clock.NextPauseAsync();
        var scrape = await ScrapedText.OfAsync(_registry);

        Assert.Empty(_readiness.Reasons);
        Assert.Equal(1, scrape["podnet_exporter_kubernetes_errors_total{resource=\"services\",reason=\"forbidden\"}"]);
        Assert.Equal(0, scrape["podnet_exporter_kubernetes_errors_total{resource=\"pods\",reason=\"forbidden\"}"]);
        Assert.Equal(
            [(LogLevel.Information, "Listed 1 services from https://127.0.0.1/"), (LogLevel.Warning, "Watching services failed, retrying; known services keep their names: The API server answers 403: no")],
            _logger.Entries);
    }

    /// <summary>A list of a large cluster has hundreds of megabytes.</summary>
    [Fact]
    public async Task A_list_may_take_long_while_parts_of_it_come()
    {
        _list = new();
        await StartAsync();
        foreach (var part in ListText.Chunk(ListText.Length / 4))
        {
            await _list.WaitForReaderAsync();
            _clock.Advance(TimeSpan.FromSeconds(20));
            _list.Give(new(part));
        }
        await _list.WaitForReaderAsync();
        _list.Give("");

        Assert.Equal(["list listed"], await _sink.TakeAsync(1));
        Assert.Single(_requests, path => !path.Contains("watch", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_list_that_stops_coming_is_given_up()
    {
        _list = new();
        await StartAsync();
        await _list.WaitForReaderAsync();
        _list.Give(ListText[..9]);
        await _list.WaitForReaderAsync();
        _clock.Advance(TimeSpan.FromSeconds(31));
        await _clock.NextPauseAsync();

        Assert.Contains("Nothing came for 30 s while waiting for an answer to the list of services", _logger.Entries.Single().Text, StringComparison.Ordinal);
    }

    /// <summary>All nodes lose their watches at once when the API server is started, and each list that is not from its cache is read from its storage.</summary>
    [Fact]
    public async Task After_the_history_is_gone_a_list_from_the_cache_follows_where_it_will_do()
    {
        _sink.TakesCachedLists = true;
        _watchStatus = HttpStatusCode.Gone;
        await StartAsync();
        _clock.Advance(await _clock.NextPauseAsync());
        await _clock.NextPauseAsync();

        Assert.Equal(["/api/v1/services?limit=500&resourceVersion=0", "/api/v1/services?resourceVersion=7"], Lists);
    }

    [Theory]
    [InlineData(HttpStatusCode.Gone)]
    [InlineData(HttpStatusCode.BadRequest)]
    [InlineData(HttpStatusCode.InternalServerError)]
    [InlineData(HttpStatusCode.GatewayTimeout)]
    public async Task A_cache_that_does_not_have_the_version_is_asked_once(HttpStatusCode refusal)
    {
        _sink.TakesCachedLists = true;
        _watchStatus = HttpStatusCode.Gone;
        _listStatus = path => path.EndsWith("?resourceVersion=7", StringComparison.Ordinal) ? refusal : HttpStatusCode.OK;
        await StartAsync();
        _clock.Advance(await _clock.NextPauseAsync());
        _clock.Advance(await _clock.NextPauseAsync());
        await _clock.NextPauseAsync();

        Assert.Equal(["/api/v1/services?limit=500&resourceVersion=0", "/api/v1/services?resourceVersion=7", "/api/v1/services?limit=500"], Lists);
    }

    [Fact]
    public async Task A_list_of_the_present_state_follows_at_once_where_no_other_will_do()
    {
        _watchStatus = HttpStatusCode.Gone;
        await StartAsync();
        await _clock.NextPauseAsync();

        Assert.Equal(["/api/v1/services?limit=500&resourceVersion=0", "/api/v1/services?limit=500"], Lists);
    }

    private IEnumerable<string> Lists => _requests.Where(path => !path.Contains("watch=true", StringComparison.Ordinal));

    private async Task StartAsync()
    {
        await _watch.StartAsync(CancellationToken.None);
        _clock.Advance(await _clock.NextPauseAsync());
    }

    private async Task SendEventAsync(string type, string name, string version) => await _events.Writer.WriteAsync(Encoding.UTF8.GetBytes(
        $$"""{"type":"{{type}}","object":{"kind":"Service","metadata":{"name":"{{name}}","resourceVersion":"{{version}}"} } }""" + "\n"));

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var path = request.RequestUri!.PathAndQuery;
        _requests.Enqueue(path);
        return Task.FromResult(path.Contains("watch=true", StringComparison.Ordinal)
            ? _watchStatus == HttpStatusCode.OK
                ? new HttpResponseMessage { Content = new StreamContent(_events.Reader.AsStream()) }
                : new HttpResponseMessage(_watchStatus) { Content = new StringContent("no") }
            : _listStatus(path) == HttpStatusCode.OK
                ? new() { Content = _list is null ? new StringContent(ListText) : new StreamContent(_list) }
                : new(_listStatus(path)) { Content = new StringContent("no") });
    }

    internal sealed record Service : KubernetesObject;

    /// <summary>Notes what it takes.</summary>
    private sealed class ServiceSink : IResourceSink<Service>
    {
        private readonly System.Threading.Channels.Channel<string> _taken = System.Threading.Channels.Channel.CreateUnbounded<string>();

        public TimeSpan LongestPause => TimeSpan.MaxValue;

        public bool TakesCachedLists { get; set; }

        public bool TakeList(IReadOnlyCollection<Service> objects, DateTimeOffset askedAt, bool isCached, bool canContinue) =>
            _taken.Writer.TryWrite($"list {string.Join(' ', objects.Select(service => service.Metadata.Name))}");

        public void Set(Service changed) => _taken.Writer.TryWrite($"set {changed.Metadata.Name}");

        public void Remove(Service deleted) => _taken.Writer.TryWrite($"remove {deleted.Metadata.Name}");

        public void SetCurrent(bool isCurrent)
        {
        }

        internal async Task<IReadOnlyList<string>> TakeAsync(int count)
        {
            using var deadline = new CancellationTokenSource(Silence.Limit);
            var taken = new List<string>();
            while (taken.Count < count)
            {
                taken.Add(await _taken.Reader.ReadAsync(deadline.Token));
            }
            return taken;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ResourcePage<ResourceWatchTests.Service>))]
[JsonSerializable(typeof(ObjectEvent<ResourceWatchTests.Service>))]
internal sealed partial class ServiceContext : JsonSerializerContext;
