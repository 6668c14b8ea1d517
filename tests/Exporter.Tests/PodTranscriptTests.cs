using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>What a real API server answered, as it is read, and as the watch follows it.</summary>
public sealed class PodTranscriptTests : IAsyncLifetime
{
    private ApiServer _server = null!;
    private WatchingNode _node = null!;

    public static TheoryData<string> Recorded => [.. Transcript.Names];

    /// <summary>Watches of pods that the API server began to answer.</summary>
    public static TheoryData<string> Watched =>
    [
        .. Transcript.Names.Select(Transcript.Read)
            .Where(transcript => transcript.Status == 200 && IsWatch(transcript) && !transcript.Lines.Any(line => line.StartsWith("{\"type\":\"ERROR\"", StringComparison.Ordinal)))
            .Where(transcript => transcript.Name != "14-encodings/watch-table")
            .Select(transcript => transcript.Name),
    ];

    public async ValueTask InitializeAsync()
    {
        _server = await ApiServer.CreateAsync();
        _node = new(_server);
    }

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _server.DisposeAsync();
        Assert.Empty(_server.Failures);
    }

    [Theory]
    [MemberData(nameof(Recorded))]
    public async Task A_recorded_answer_is_read_whole(string name)
    {
        var transcript = Transcript.Read(name);
        var api = new ResourceApi<PodDocument>((_, _) => Task.FromResult(ResponseOf(transcript)), new("https://127.0.0.1"), PodDocument.OfNode("worker-1"));
        var reading = IsWatch(transcript) ? ReadWatchAsync(api) : ReadListAsync(api);
        var expected = WholeDocuments(transcript);

        if (transcript.Status != 200)
        {
            var refused = await Assert.ThrowsAsync<ApiException>(() => reading);
            Assert.Equal(transcript.Status, refused.Code);
            Assert.Equal(transcript.Headers.Where(header => header.Key == "Retry-After").Select(header => header.Value).FirstOrDefault(), refused.RetryAfter?.TotalSeconds.ToString(CultureInfo.InvariantCulture));
            var message = expected is [var status] ? status.GetProperty("message").GetString()! : Encoding.UTF8.GetString(transcript.Body).Trim();
            Assert.Equal($"The API server answers {transcript.Status}: {message}", refused.Message);
        }
        else if (expected is null || !(IsWatch(transcript) || IsListOfPods(expected)))
        {
            await Assert.ThrowsAsync<JsonException>(() => reading);
        }
        else if (expected is [.., var last] && last.TryGetProperty("type", out var type) && type.GetString() == "ERROR")
        {
            var refused = await Assert.ThrowsAsync<ApiException>(() => reading);
            Assert.Equal(last.GetProperty("object").GetProperty("code").GetInt32(), refused.Code);
            Assert.EndsWith(last.GetProperty("object").GetProperty("message").GetString()!, refused.Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(expected.SelectMany(Describe), await reading);
        }
    }

    [Theory]
    [MemberData(nameof(Watched))]
    public async Task A_recorded_watch_is_followed_and_the_next_one_starts_where_it_ended(string name)
    {
        var transcript = Transcript.Read(name);
        var documents = WholeDocuments(transcript)!;
        var from = Parameter(transcript, "resourceVersion") is { Length: > 0 } version ? version : "0";
        _server.AnswerLists(Answers.EmptyList(from));
        _server.Feed(transcript);

        var first = await _node.StartWatchingAsync();
        var second = await _node.PassUntilAsync(request => request.IsWatch, after: first.Number);

        Assert.Equal(documents.Count > 0 ? Version(documents[^1].GetProperty("object")) : from, second["resourceVersion"]);
        Assert.Equal(PodsAfter(documents), _node.Pods);
        Assert.Single(_server.Requests, request => request.IsList);
        Assert.Equal(transcript.End is TranscriptEnd.Cut or TranscriptEnd.Reset ? 1 : 0, await _node.CountErrorsAsync("unreachable") + await _node.CountErrorsAsync("cut"));
    }

    [Fact]
    public async Task A_list_in_pages_is_read_to_its_end_and_watched_from_its_version()
    {
        _server.Enqueue(Transcript.Read("01-list-paged/page-1"), Transcript.Read("01-list-paged/page-2"), Transcript.Read("01-list-paged/page-3"));
        _server.Feed(Transcript.Read("01-list-paged/watch-from-the-list"));
        var watch = await _node.StartWatchingAsync();
        var next = await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal("1131", watch["resourceVersion"]);
        Assert.Equal("1134", next["resourceVersion"]);
        Assert.Equal(249, _node.Store.Count);
        Assert.DoesNotContain("shop/web-240 Running 10.244.3.242 2001:db8:244:3::f2", _node.Pods);
        Assert.Equal(
            [null, TokenOf("01-list-paged/page-1"), TokenOf("01-list-paged/page-2")],
            _server.Requests.Where(request => request.IsList).Select(request => request["continue"]));
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]);
    }

    [Fact]
    public async Task Pods_on_the_host_s_network_are_known_and_claim_nothing()
    {
        _server.Enqueue(Transcript.Read("04-pod-kinds/host-network/list"));
        _server.AnswerWatches(WithoutTheEnd("04-pod-kinds/host-network/watch"));
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);

        var pod = Assert.Single(_node.Store.Pods).State;
        Assert.True(pod.HostNetwork);
        Assert.Empty(pod.Addresses);
        Assert.Empty(_node.Store.GetClaims(IPAddress.Parse("198.51.100.11")));
    }

    [Fact]
    public async Task An_address_is_claimed_by_the_job_that_is_over_and_then_by_the_next_pod()
    {
        _server.AnswerLists(Answers.EmptyList("1515"));
        _server.Feed(Transcript.Read("04-pod-kinds/job-ip-reused/watch"));
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal(["shop/cart-9 Running 10.244.1.30 2001:db8:244:1::30"], _node.Pods);
        var claims = _node.Store.GetClaims(IPAddress.Parse("10.244.1.30"));
        Assert.Equal(["import-9mm7f", "cart-9"], claims.Select(claim => claim.Pod.State.Description.Name));
        // As its container says, and not when it was deleted.
        Assert.Equal(EndOfContainers("04-pod-kinds/job-ip-reused/watch"), claims[0].EndTime);
        Assert.Null(claims[1].EndTime);
        Assert.Null(claims[1].ListedAt);
    }

    [Fact]
    public async Task A_list_with_one_address_twice_has_the_pods_in_the_order_of_their_starts()
    {
        _server.Enqueue(Transcript.Read("04-pod-kinds/job-ip-reused/list"));
        await _node.StartWatchingAsync();

        var claims = _node.Store.GetClaims(IPAddress.Parse("2001:db8:244:1::30"));
        Assert.Equal(["import-9mm7f", "cart-9"], claims.Select(claim => claim.Pod.State.Description.Name));
        Assert.All(claims, claim => Assert.Null(claim.ListedAt));
    }

    [Fact]
    public async Task A_pod_that_loses_its_address_and_gets_another_claims_anew()
    {
        _server.AnswerLists(WithAddress("10.244.1.30"));
        _server.Feed(Transcript.Read("04-pod-kinds/ip-changes/watch"));
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal(["shop/cart-9 Running 10.244.1.31 2001:db8:244:1::31"], _node.Pods);
        Assert.NotNull(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.244.1.30"))).EndTime);
        Assert.Null(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.244.1.31"))).EndTime);

        static string WithAddress(string address) =>
            Answers.EmptyList("1536").Replace("[]", "[" + JsonDocument.Parse(Transcript.Read("04-pod-kinds/ip-changes/watch").Lines[1]).RootElement.GetProperty("object").GetRawText().Replace("10.244.1.31", address, StringComparison.Ordinal) + "]", StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mirror_pod_of_a_changed_manifest_is_another_pod()
    {
        _server.AnswerLists(Answers.EmptyList("1506"));
        _server.Feed(Transcript.Read("04-pod-kinds/mirror-pod/watch"));
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal(["kube-system/static-web-worker-1 Running 10.244.1.21 2001:db8:244:1::21"], _node.Pods);
        Assert.NotNull(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.244.1.20"))).EndTime);
        Assert.Null(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.244.1.21"))).EndTime);
    }

    [Fact]
    public async Task A_mirror_pod_that_was_deleted_and_made_again_is_the_same_static_pod()
    {
        var recorded = Encoding.UTF8.GetString(Transcript.Read("04-pod-kinds/mirror-pod/watch").Body);
        _server.AnswerLists(Answers.EmptyList("1506"));
        // The pod itself went on: it has its manifest and its address.
        _server.AnswerWatches(recorded
            .Replace("10.244.1.21", "10.244.1.20", StringComparison.Ordinal)
            .Replace("b1a2f3e4d5c6b7a9f0e4a5d8b6f2d1c3", "3c1d2f6b8d5a4e0f9a7b6c5d4e3f2a1b", StringComparison.Ordinal));
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);

        Assert.Single(_node.Pods);
        Assert.Null(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.244.1.20"))).EndTime);
    }

    [Fact]
    public async Task A_burst_of_pods_leaves_nothing_behind_but_their_claims()
    {
        _server.AnswerLists(Answers.EmptyList("3996"));
        _server.Feed(Transcript.Read("15-burst/watch"));
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);

        Assert.Empty(_node.Pods);
        // 300 additions, 300 bindings' changes or less, and each end is a last state and a removal.
        Assert.Equal(1100 + 300, _node.Store.Changes);
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((0, 1), (scrape["podnet_exporter_kubernetes_pods"], scrape["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]));
    }

    [Theory]
    [InlineData("08-expired/watch-410-event")]
    [InlineData("08-expired/watch-at-1-410-event")]
    [InlineData("12-outage/after-restart-watch-at-the-old-version")]
    public async Task An_expired_watch_is_listed_again_at_once(string name)
    {
        _server.Enqueue(Transcript.Read("08-expired/list-before/all"), Transcript.Read(name), Transcript.Read("08-expired/list-again"));
        await _node.StartWatchingAsync();
        var watch = await _server.WaitForRequestAsync(request => request["resourceVersion"] == "5391");

        Assert.DoesNotContain(_node.Told, text => text.Contains("failed", StringComparison.Ordinal));
        Assert.False(_node.Clock.TryTakePause(out _));
        Assert.Equal([false, true, false, true], _server.Requests.Take(watch.Number).Select(request => request.IsWatch));
        Assert.Equal(1, await _node.CountErrorsAsync("gone"));
        Assert.Equal(3, _node.Store.Count);
    }

    [Fact]
    public async Task A_page_that_expired_makes_the_list_begin_again_at_once()
    {
        _server.Enqueue(Transcript.Read("08-expired/list-before/page-1"), Transcript.Read("08-expired/continue-410"), Transcript.Read("08-expired/list-again"));
        var watch = await _node.StartWatchingAsync();

        Assert.False(_node.Clock.TryTakePause(out _));
        Assert.Equal("5391", watch["resourceVersion"]);
        Assert.Null(_server.Requests[2]["continue"]);
        // Nothing of the page before is left.
        Assert.Equal(3, _node.Store.Count);
        Assert.Equal(2, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]);
    }

    [Theory]
    [InlineData("09-bad-resource-version/watch-rv-not-a-number")]
    [InlineData("09-bad-resource-version/watch-list")]
    public async Task A_version_that_the_API_server_cannot_serve_is_listed_anew_after_a_pause(string name)
    {
        _server.Enqueue(Transcript.Read("08-expired/list-before/all"), Transcript.Read(name), Transcript.Read("08-expired/list-again"));
        await _node.StartWatchingAsync();
        Assert.InRange(await _node.PassAsync(), TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(15));
        await _server.WaitForRequestAsync(request => request["resourceVersion"] == "5391");

        Assert.Equal(1, await _node.CountErrorsAsync("refused"));
    }

    [Theory]
    [InlineData("09-bad-resource-version/list-not-older-than", "refused", 1)]
    [InlineData("10-auth/list-401-bad-token", "unauthorized", null)]
    [InlineData("10-auth/list-403", "forbidden", null)]
    [InlineData("11-too-many-requests/reject-list", "too_many_requests", 4)]
    [InlineData("11-too-many-requests/queue-waited-then-429", "too_many_requests", 2)]
    [InlineData("12-outage/restart/02-list-403", "forbidden", null)]
    public async Task A_list_that_was_refused_is_asked_for_again(string name, string reason, int? retryAfter)
    {
        _server.Enqueue(Transcript.Read(name), Transcript.Read("08-expired/list-again"));
        await _node.StartAsync();
        // With a token that was read again it is asked at once.
        if (reason != "unauthorized")
        {
            var pause = await _node.Clock.NextPauseAsync();
            Assert.InRange(pause.TotalSeconds, retryAfter ?? 0.5, 1.5 * (retryAfter ?? 10));
            Assert.StartsWith(
                "the pods of node worker-1 are not known yet: The API server answers " + Transcript.Read(name).Status.ToString(CultureInfo.InvariantCulture),
                Assert.Single(_node.Readiness.Reasons),
                StringComparison.Ordinal);
            _node.Advance(pause);
        }
        await _node.NextWatchAsync();

        Assert.Empty(_node.Readiness.Reasons);
        Assert.Equal(1, await _node.CountErrorsAsync(reason));
        Assert.Equal(3, _node.Store.Count);
    }

    [Fact]
    public async Task Who_may_list_and_not_watch_is_told_so_and_keeps_its_pods()
    {
        _server.AnswerLists(Transcript.Read("10-auth/list-allowed-watch-not/list").Lines[0].Replace("\"continue\"", "\"other\"", StringComparison.Ordinal));
        _server.Handle(request => request.IsWatch, context => Transcript.Read("10-auth/list-allowed-watch-not/watch-403").ReplayAsync(context), times: 3);
        await _node.StartAsync();
        await _node.PassAsync();
        await _node.PassAsync();
        await _node.Clock.NextPauseAsync();

        Assert.Equal(["shop/api-0 Running 10.244.1.60 2001:db8:244:1::3c"], _node.Pods);
        Assert.Equal((1, 3), (_server.Requests.Count(request => request.IsList), _server.Requests.Count(request => request.IsWatch)));
        Assert.Contains("list-only\" cannot watch resource \"pods\"", Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("Watching pods failed", StringComparison.Ordinal)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_rights_were_revoked_an_open_watch_goes_on_and_the_next_one_waits_for_them()
    {
        _server.AnswerLists(Answers.EmptyList("5158"));
        _server.Enqueue(Transcript.Read("10-auth/rbac-revoked/1-watch-open"), Transcript.Read("10-auth/rbac-revoked/2-watch-again"));
        await _node.StartAsync();
        var pause = await _node.Clock.NextPauseAsync();
        Assert.Equal(["shop/api-0 Running 10.244.1.60 2001:db8:244:1::3c"], _node.Pods);
        Assert.Equal(1, await _node.CountErrorsAsync("forbidden"));
        _node.Advance(pause);
        var again = await _node.NextWatchAsync(after: 3);

        Assert.Equal("5167", again["resourceVersion"]);
        Assert.Single(_server.Requests, request => request.IsList);
    }

    [Fact]
    public async Task A_watch_that_was_refused_for_too_many_requests_comes_back_from_its_version_after_the_time_it_was_given()
    {
        _server.AnswerLists(Answers.EmptyList("5221"));
        _server.Enqueue(Transcript.Read("11-too-many-requests/reject-watch"), Transcript.Read("11-too-many-requests/queue-watch-waited"));
        await _node.StartAsync();
        Assert.InRange((await _node.PassAsync()).TotalSeconds, 4, 6);
        var watch = await _server.WaitForRequestAsync(request => request["resourceVersion"] == "5234");

        Assert.Equal(["5221", "5221", "5234"], _server.Requests.Take(watch.Number).Where(request => request.IsWatch).Select(request => request["resourceVersion"]));
        Assert.Single(_server.Requests, request => request.IsList);
        Assert.Contains("429: Too many requests, please try again later.", _node.Logger.Entries[^2].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_outage_and_a_restart_end_with_a_list_and_a_watch()
    {
        _server.Enqueue(Transcript.Read("08-expired/list-before/all"), Transcript.Read("12-outage/connection-reset"));
        await _node.StartAsync();
        var pause = await _node.Clock.NextPauseAsync();
        await _server.StopAsync();
        _node.Advance(pause);
        pause = await _node.Clock.NextPauseAsync();
        Assert.Equal(3, _node.Store.Count);
        await _server.StartAsync();
        foreach (var name in new[] { "10-auth/watch-403", "12-outage/restart/04-watch-200", "12-outage/restart/02-list-403", "12-outage/after-restart-list" })
        {
            _server.Enqueue(Transcript.Read(name));
        }
        _node.Advance(pause);
        var watch = await _node.PassUntilAsync(request => request["resourceVersion"] == "5376");

        Assert.Equal(["0", "5365", "5365", "5365", "list", "list", "5376"], _server.Requests.Take(watch.Number).Select(request => request["resourceVersion"] ?? "list"));
        Assert.Equal((1, 2, 1), (await _node.CountErrorsAsync("unreachable"), await _node.CountErrorsAsync("forbidden"), await _node.CountErrorsAsync("gone")));
        Assert.Equal(3, _node.Store.Count);
    }

    private static bool IsWatch(Transcript transcript) => transcript.PathAndQuery.Contains("watch=1", StringComparison.Ordinal);

    private static bool IsListOfPods(List<JsonElement> documents) => documents is [var list] && list.TryGetProperty("kind", out var kind) && kind.GetString() == "PodList";

    private static string? Parameter(Transcript transcript, string name) =>
        System.Web.HttpUtility.ParseQueryString(transcript.PathAndQuery.Split('?')[^1])[name];

    private static string? TokenOf(string name) =>
        JsonDocument.Parse(Transcript.Read(name).Body).RootElement.GetProperty("metadata").GetProperty("continue").GetString();

    private static byte[] WithoutTheEnd(string name) => Encoding.UTF8.GetBytes(string.Join('\n', Transcript.Read(name).Lines.SkipLast(1)) + "\n");

    private static DateTimeOffset EndOfContainers(string name) =>
        Transcript.Read(name).Lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("object").GetProperty("status"))
            .Where(status => status.GetProperty("phase").GetString() == "Succeeded")
            .Select(status => status.GetProperty("containerStatuses")[0].GetProperty("state").GetProperty("terminated").GetProperty("finishedAt").GetDateTimeOffset())
            .First();

    private static HttpResponseMessage ResponseOf(Transcript transcript)
    {
        var response = new HttpResponseMessage((HttpStatusCode)transcript.Status) { Content = new ByteArrayContent(transcript.Body) };
        foreach (var (name, value) in transcript.Headers.Where(header => header.Key == "Retry-After"))
        {
            response.Headers.Add(name, value);
        }
        return response;
    }

    private static async Task<List<string>> ReadListAsync(ResourceApi<PodDocument> api) =>
        [.. (await api.ListAsync(null, cachedSince: null, static () => { }, CancellationToken.None)).Items?.Select(pod => Describe("", pod!)) ?? []];

    private static async Task<List<string>> ReadWatchAsync(ResourceApi<PodDocument> api)
    {
        var read = new List<string>();
        await foreach (var change in api.WatchAsync("1", TimeSpan.FromMinutes(5), () => { }, CancellationToken.None))
        {
            read.Add(Describe(change.Type, change.Object));
        }
        return read;
    }

    /// <summary>Null where it is not JSON.</summary>
    private static List<JsonElement>? WholeDocuments(Transcript transcript)
    {
        var isCut = transcript.Body is not [.., (byte)'\n'];
        var lines = IsWatch(transcript) ? [.. isCut ? transcript.Lines.SkipLast(1) : transcript.Lines] : transcript.Body.Length > 0 ? [Encoding.UTF8.GetString(transcript.Body)] : (IReadOnlyList<string>)[];
        try
        {
            return [.. lines.Select(line => JsonDocument.Parse(line).RootElement)];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static IEnumerable<string> Describe(JsonElement document) =>
        document.TryGetProperty("type", out var type) ? [Describe(type.GetString()!, document.GetProperty("object"))]
        : document.TryGetProperty("items", out var items) ? items.EnumerateArray().Select(item => Describe("", item))
        : [];

    private static string Describe(string type, JsonElement pod) =>
        $"{type} {Text(pod, "metadata", "uid")} {Text(pod, "metadata", "namespace")}/{Text(pod, "metadata", "name")} {Version(pod)} {Text(pod, "status", "phase")} {string.Join(' ', Addresses(pod))}";

    private static string Describe(string type, PodDocument pod) =>
        $"{type} {pod.Metadata.Uid} {pod.Metadata.Namespace}/{pod.Metadata.Name} {pod.Metadata.ResourceVersion} {pod.Status.Phase} {string.Join(' ', pod.Status.FindAddresses())}";

    private static string Text(JsonElement pod, string part, string name) =>
        pod.TryGetProperty(part, out var found) && found.TryGetProperty(name, out var text) ? text.GetString()! : "";

    private static string Version(JsonElement pod) => Text(pod, "metadata", "resourceVersion");

    private static IEnumerable<string> Addresses(JsonElement pod) =>
        pod.TryGetProperty("status", out var status) && status.TryGetProperty("podIPs", out var addresses)
            ? addresses.EnumerateArray().Select(address => address.GetProperty("ip").GetString()!)
            : [];

    /// <summary>What is there after these events, as anybody would say.</summary>
    private static SortedDictionary<string, string>.ValueCollection PodsAfter(IEnumerable<JsonElement> events)
    {
        var pods = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var change in events)
        {
            var pod = change.GetProperty("object");
            var isOnHost = pod.TryGetProperty("spec", out var spec) && spec.TryGetProperty("hostNetwork", out _);
            var name = $"{Text(pod, "metadata", "namespace")}/{Text(pod, "metadata", "name")}";
            switch (change.GetProperty("type").GetString())
            {
                case "DELETED":
                    pods.Remove(name);
                    break;
                case "ADDED" or "MODIFIED":
                    pods[name] = $"{name} {Text(pod, "status", "phase")} {(isOnHost ? "" : string.Join(' ', Addresses(pod)))}".Trim();
                    break;
            }
        }
        return pods.Values;
    }
}
