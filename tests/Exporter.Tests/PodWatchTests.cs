using System.Globalization;
using System.Net;
using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

/// <summary>The watch while the API server does what it should. What fails is in <see cref="PodWatchFailureTests"/>.</summary>
public sealed class PodWatchTests : IAsyncLifetime
{
    private static readonly string[] Reasons = ["unauthorized", "forbidden", "gone", "too_many_requests", "refused", "unreachable", "silent", "unreadable", "cut"];

    private readonly Cluster _cluster = new();
    private ApiServer _server = null!;
    private WatchingNode _node = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ApiServer.CreateAsync(_cluster);
        _node = new(_server);
    }

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _server.DisposeAsync();
        Assert.Empty(_server.Failures);
    }

    [Fact]
    public async Task There_is_one_list_and_one_watch_however_much_happens()
    {
        _cluster.Add(new("shop", "web"));
        _cluster.BookmarkEvery = 3;
        var watch = await _node.StartWatchingAsync();
        for (var change = 1; change <= 50; change++)
        {
            _cluster.SetStatus("shop", "web", "Running", $"10.0.0.{change}");
        }
        await _node.UntilAsync(() => _node.Pods.SequenceEqual(["shop/web Running 10.0.0.50"]));

        Assert.Equal([false, true], _server.Requests.Select(request => request.IsWatch));
        Assert.Equal("1001", watch["resourceVersion"]);
        Assert.False(_node.Clock.TryTakePause(out _));
    }

    [Fact]
    public async Task Nothing_but_the_pods_of_the_node_is_ever_asked_for()
    {
        _cluster.Add(new("shop", "here"));
        _cluster.Add(new("shop", "there") { NodeName = "worker-2" });
        _server.Inject(new() { Status = 500 }, times: 2);
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Error }, times: 1);
        _server.AnswerWatches("", times: 3);
        await _node.StartAsync();
        await _node.PassUntilAsync(request => request.Number >= 9);

        Assert.Equal(["shop/here Pending"], _node.Pods);
        Assert.All(_server.Requests, request =>
        {
            Assert.Equal(("GET", "/api/v1/pods", "spec.nodeName=worker-1"), (request.Method, request.Path, request["fieldSelector"]));
            Assert.Equal("application/json", request.Headers["Accept"]);
            Assert.Equal("token-1", request.Token);
            Assert.Equal(request.IsWatch ? null : "500", request["limit"]);
            if (request.IsWatch)
            {
                Assert.Equal("true", request["allowWatchBookmarks"]);
                Assert.InRange(int.Parse(request["timeoutSeconds"]!, CultureInfo.InvariantCulture), 300, 600);
                Assert.NotNull(request["resourceVersion"]);
            }
        });
        Assert.True(_server.Requests.Count(request => request.IsWatch) >= 4);
        Assert.True(_server.Requests.Count(request => request.IsList) >= 4);
    }

    [Fact]
    public async Task Watches_end_at_times_of_their_own()
    {
        _server.AnswerWatches("", times: 6);
        await _node.StartAsync();
        await _node.PassUntilAsync(request => request.Number == 7);

        Assert.True(_server.Requests.Where(request => request.IsWatch).Select(request => request["timeoutSeconds"]).Distinct().Count() > 2);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(500, 1)]
    [InlineData(501, 2)]
    [InlineData(1200, 3)]
    public async Task Pods_are_listed_in_pages_of_500(int pods, int pages)
    {
        _cluster.HasWatchCache = false;
        for (var number = 0; number < pods; number++)
        {
            _cluster.Add(new("shop", $"web-{number}"));
        }
        var watch = await _node.StartWatchingAsync();

        Assert.Equal(pods, _node.Store.Count);
        Assert.Equal(_cluster.Pods.Select(pod => $"{pod.Key} Pending"), _node.Pods);
        Assert.Equal(pages + 1, watch.Number);
        Assert.All(_server.Requests.Take(pages), request => Assert.Equal("500", request["limit"]));
        Assert.Null(_server.Requests[0]["continue"]);
        Assert.All(_server.Requests.Take(pages).Skip(1), request => Assert.NotNull(request["continue"]));
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]);
    }

    [Fact]
    public async Task What_changes_while_pages_are_read_comes_with_the_watch()
    {
        _cluster.HasWatchCache = false;
        for (var number = 0; number < 501; number++)
        {
            _cluster.Add(new("shop", $"web-{number:D3}"));
        }
        var version = _cluster.Version;
        _server.Handle(request => request["continue"] is not null, async context =>
        {
            _cluster.Delete("shop", "web-500");
            _cluster.Add(new("shop", "late"));
            await context.AnswerAsync(System.Text.Encoding.UTF8.GetString(_cluster.List("worker-1", continued: context.Request.Query["continue"])));
        });
        var watch = await _node.StartWatchingAsync();
        await _node.UntilAsync(() => _node.Pods.Contains("shop/late Pending"));

        Assert.Equal(version.ToString(CultureInfo.InvariantCulture), watch["resourceVersion"]);
        Assert.DoesNotContain("shop/web-500 Pending", _node.Pods);
        Assert.Equal(501, _node.Store.Count);
    }

    [Fact]
    public async Task A_list_that_is_made_again_forgets_pods_that_are_gone()
    {
        _cluster.Add(new("shop", "stays"));
        _cluster.SetStatus("shop", "stays", "Running", "10.0.0.1");
        _cluster.Add(new("shop", "goes"));
        _cluster.SetStatus("shop", "goes", "Running", "10.0.0.2");
        await _node.StartFollowingAsync();
        _server.KillConnections();
        var pause = await _node.Clock.NextPauseAsync();
        _cluster.Delete("shop", "goes");
        _cluster.Compact();
        _node.Advance(pause);
        await _node.UntilAsync(() => _node.Store.Count == 1);

        Assert.Equal(["shop/stays Running 10.0.0.1"], _node.Pods);
        Assert.NotNull(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.0.0.2"))).EndTime);
        Assert.Null(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.0.0.1"))).EndTime);
    }

    [Fact]
    public async Task Bookmarks_move_the_version_on_and_nothing_else()
    {
        ListOnce("5");
        _server.AnswerWatches(Answers.Event("ADDED", "web", "7") + Answers.Bookmark("9") + Answers.Bookmark("9"));
        var watch = await _node.StartWatchingAsync();
        var next = await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal("9", next["resourceVersion"]);
        Assert.Equal(1, _node.Store.Changes);
        Assert.Equal(["shop/web Running 10.0.0.1"], _node.Pods);
    }

    /// <summary>Versions are not numbers: only the API server may compare them.</summary>
    [Fact]
    public async Task The_next_watch_starts_from_the_last_version_that_came_not_from_the_highest()
    {
        ListOnce("50");
        _server.AnswerWatches(Answers.Event("ADDED", "web", "70") + Answers.Event("MODIFIED", "web", "60", "10.0.0.2") + Answers.Event("MODIFIED", "web", "a/b&c=d", "10.0.0.3"));
        var watch = await _node.StartWatchingAsync();
        var next = await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal("a/b&c=d", next["resourceVersion"]);
        Assert.Equal(["shop/web Running 10.0.0.3"], _node.Pods);
    }

    [Fact]
    public async Task Events_that_are_out_of_turn_do_what_can_be_done()
    {
        ListOnce("5");
        _server.AnswerWatches(
            Answers.Event("MODIFIED", "never-added", "6", "10.0.0.1")
            + Answers.Event("DELETED", "never-there", "7", "10.0.0.2")
            + Answers.Event("ADDED", "twice", "8", "10.0.0.3")
            + Answers.Event("ADDED", "twice", "9", "10.0.0.3")
            + Answers.Event("DELETED", "gone", "10", "10.0.0.4")
            + Answers.Event("DELETED", "gone", "10", "10.0.0.4")
            + Answers.Event("INVENTED", "other", "11", "10.0.0.5")
            + """{"type":"ADDED","object":{"metadata":{"name":"nobody"}}}""" + "\n");
        var watch = await _node.StartWatchingAsync();
        var next = await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal(["shop/never-added Running 10.0.0.1", "shop/twice Running 10.0.0.3"], _node.Pods);
        Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.0.0.3")));
        Assert.Empty(_node.Store.GetClaims(IPAddress.Parse("10.0.0.5")));
        Assert.Equal("11", next["resourceVersion"]);
    }

    [Fact]
    public async Task Every_event_twice_has_no_effect_twice()
    {
        _server.Inject(new() { On = Requests.Watches, Twice = true });
        await _node.StartWatchingAsync();
        _cluster.Add(new("shop", "web"));
        _cluster.SetStatus("shop", "web", "Running", "10.0.0.1");
        _cluster.Add(new("shop", "other"));
        _cluster.Delete("shop", "other");
        _cluster.Add(new("shop", "last"));
        await _node.UntilAsync(() => _node.Pods.Contains("shop/last Pending"));

        Assert.Equal(["shop/last Pending", "shop/web Running 10.0.0.1"], _node.Pods);
        Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.0.0.1")));
    }

    [Fact]
    public async Task Events_are_read_however_they_are_cut_into_pieces()
    {
        var watch = await _node.StartWatchingAsync();
        _server.Inject(new() { On = Requests.Watches, ByteByByte = true });
        _cluster.Add(new("shop", "web") { Annotations = new Dictionary<string, string> { ["note"] = "äöü€😀" } });
        await _node.UntilAsync(() => _node.Store.Count == 1);
        _server.ClearFaults();
        _server.Inject(new() { On = Requests.Watches, Split = true });
        for (var change = 1; change <= 100; change++)
        {
            _cluster.SetStatus("shop", "web", "Running", $"10.0.0.{change}");
        }
        await _node.UntilAsync(() => _node.Pods.SequenceEqual(["shop/web Running 10.0.0.100"]));
        _server.ClearFaults();
        _server.Inject(new() { On = Requests.Watches, EventsPerChunk = 10 });
        for (var change = 1; change <= 10; change++)
        {
            _cluster.SetStatus("shop", "web", "Running", $"10.0.1.{change}");
        }
        await _node.UntilAsync(() => _node.Pods.SequenceEqual(["shop/web Running 10.0.1.10"]));

        Assert.Equal(watch.Number, _server.Requests.Count);
        Assert.Equal(1 + 100 + 10, _node.Store.Changes);
    }

    [Fact]
    public async Task Empty_lines_are_passed_over()
    {
        ListOnce("5");
        _server.AnswerWatches("\n\n" + Answers.Event("ADDED", "web", "7") + "\n" + Answers.Event("ADDED", "other", "8", "10.0.0.2") + "\n\n");
        var watch = await _node.StartWatchingAsync();
        var next = await _node.NextWatchAsync(after: watch.Number);

        Assert.Equal("8", next["resourceVersion"]);
        Assert.Equal(2, _node.Store.Count);
        Assert.Equal(0, await _node.CountErrorsAsync("unreadable"));
    }

    [Fact]
    public async Task A_watch_that_ended_after_events_is_followed_by_the_next_at_once()
    {
        ListOnce("5");
        for (var number = 6; number < 16; number++)
        {
            _server.AnswerWatches(Answers.Event("MODIFIED", "web", $"{number}"));
        }
        await _node.StartAsync();
        await _server.WaitForRequestAsync(request => request["resourceVersion"] == "15");

        Assert.False(_node.Clock.TryTakePause(out _));
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]);
    }

    [Fact]
    public async Task It_is_ready_when_the_first_list_is_there_and_stays_so()
    {
        Assert.Empty(_node.Readiness.Reasons);
        _server.Inject(new() { Break = Breaking.Unanswered }, times: 1);
        await _node.StartAsync();
        Assert.Equal(["the pods of node worker-1 are not known yet: the API server has not answered yet"], _node.Readiness.Reasons);
        await _server.WaitForRequestAsync(request => request.IsList);
        _node.Advance(TimeSpan.FromSeconds(30));
        await _node.PassAsync();
        await _node.NextWatchAsync();
        Assert.Empty(_node.Readiness.Reasons);

        await _server.StopAsync();
        await _node.PassAsync();
        await _node.Clock.NextPauseAsync();
        Assert.Empty(_node.Readiness.Reasons);
    }

    [Fact]
    public async Task The_reason_for_not_being_ready_is_the_last_problem()
    {
        _server.AcceptedToken = "another";
        await _node.StartAsync();
        await _node.Clock.NextPauseAsync();
        Assert.Equal(["the pods of node worker-1 are not known yet: The API server answers 401: Unauthorized"], _node.Readiness.Reasons);
    }

    [Fact]
    public async Task A_list_alone_makes_ready_and_not_up()
    {
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Unanswered });
        _cluster.Add(new("shop", "web"));
        await _node.StartWatchingAsync();

        Assert.Empty(_node.Readiness.Reasons);
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((0, 1, 0), (scrape["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"], scrape["podnet_exporter_kubernetes_pods"], scrape["podnet_exporter_kubernetes_last_event_timestamp_seconds{resource=\"pods\"}"]));
        Assert.Null(_node.Store.CurrentSince);
    }

    [Fact]
    public async Task Metrics_tell_of_the_watch_from_the_start()
    {
        var scrape = await _node.ScrapeAsync();
        Assert.Equal(4 + 9, scrape.Samples.Count(sample => sample.StartsWith("podnet_exporter_kubernetes_", StringComparison.Ordinal)));
        Assert.All(Reasons, reason => Assert.Equal(0, scrape[$"podnet_exporter_kubernetes_errors_total{{resource=\"pods\",reason=\"{reason}\"}}"]));

        await _node.StartWatchingAsync();
        var added = _node.Clock.GetUtcNow() + TimeSpan.FromSeconds(100);
        _node.Advance(TimeSpan.FromSeconds(100));
        _cluster.Add(new("shop", "web"));
        _cluster.Add(new("shop", "other"));
        await _node.UntilAsync(() => _node.Store.Count == 2);
        scrape = await _node.ScrapeAsync();
        Assert.Equal((1, 1), (scrape["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"], scrape["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]));
        Assert.Equal(added.ToUnixTimeSeconds(), Math.Floor(scrape["podnet_exporter_kubernetes_last_event_timestamp_seconds{resource=\"pods\"}"]));

        _cluster.Delete("shop", "other");
        await _node.UntilAsync(() => _node.Store.Count == 1);
        await _node.StopAsync();
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_pods"]);
    }

    [Fact]
    public async Task A_start_that_finds_pods_is_one_line()
    {
        _cluster.Add(new("shop", "web"));
        await _node.StartWatchingAsync();

        Assert.Equal([(LogLevel.Information, $"Listed 1 pods of node worker-1 from {_server.Address}")], _node.Logger.Entries);
    }

    [Fact]
    public async Task A_node_without_pods_is_a_warning_that_names_the_option()
    {
        _cluster.Add(new("shop", "there") { NodeName = "worker-2" });
        await _node.StartWatchingAsync();

        Assert.Equal((LogLevel.Warning, "Node worker-1 has no pods: check Kubernetes:NodeName if that is wrong"), _node.Logger.Entries[^1]);
    }

    [Fact]
    public async Task The_first_list_comes_from_the_cache_within_four_seconds_and_later_ones_do_not()
    {
        await _node.StartFollowingAsync();
        Assert.InRange(_node.FirstPause.TotalSeconds, 0, 4);
        _node.Store.Questions.Set();
        await _node.PassAsync();
        await _node.WatchIsOpenAsync();

        Assert.Equal(["0", "1000", null, "1000"], _server.Requests.Select(request => request["resourceVersion"]));
        Assert.Equal([false, true, false, true], _server.Requests.Select(request => request.IsWatch));
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]);
    }

    /// <summary>A pod that comes and goes before the list is not in it.</summary>
    [Fact]
    public async Task A_question_misses_no_pod_that_comes_and_goes_before_its_answer()
    {
        ListOnce("5");
        _server.AnswerWatches(Answers.Event("ADDED", "web", "6"));
        _server.Handle(request => request.IsWatch, context => context.HoldAsync());
        var watch = await _node.StartWatchingAsync();
        await _node.NextWatchAsync(after: watch.Number);
        _server.AnswerLists("""{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"namespace":"shop","name":"web","uid":"web","resourceVersion":"6"}}]}""");
        _server.AnswerWatches(Answers.Event("ADDED", "short", "7") + Answers.Event("DELETED", "short", "8"));

        _node.Store.Questions.Set();
        var next = await _node.PassUntilAsync(request => request.IsWatch, after: watch.Number + 2);

        Assert.Equal("6", next["resourceVersion"]);
        await _node.NextWatchAsync(after: next.Number);
        Assert.Equal(["web", "short"], _node.Store.GetClaims(IPAddress.Parse("10.0.0.1")).Select(claim => claim.Pod.State.Description.Name));
    }

    /// <summary>As after a restore of etcd: the versions of the watch are not those of the list.</summary>
    [Fact]
    public async Task A_watch_that_does_not_deliver_what_a_list_showed_is_replaced_by_the_next_list()
    {
        await _node.StartFollowingAsync();
        const string List = """{"kind":"PodList","metadata":{"resourceVersion":"2000"},"items":[{"metadata":{"namespace":"shop","name":"other","uid":"other","resourceVersion":"7"}}]}""";
        _server.AnswerLists(List, times: 2);
        _node.Store.Questions.Set();
        await _node.PassAsync();
        await _node.WatchIsOpenAsync();
        Assert.Empty(_node.Pods);

        var list = await _node.PassUntilAsync(request => request.IsList, after: 4);
        var next = await _node.NextWatchAsync(after: list.Number);

        Assert.Equal(["shop/other"], _node.Pods);
        Assert.Equal("2000", next["resourceVersion"]);
    }

    [Fact]
    public async Task Questions_are_asked_at_most_once_in_ten_seconds()
    {
        await _node.StartFollowingAsync();
        _node.Store.Questions.Set();
        Assert.InRange((await _node.PassAsync()).TotalSeconds, 6, 12);
        await _node.WatchIsOpenAsync();
        _node.Store.Questions.Set();
        Assert.InRange((await _node.PassAsync()).TotalSeconds, 10, 12);
        await _node.WatchIsOpenAsync();

        Assert.Equal(3, _server.Requests.Count(request => request.IsList));
    }

    /// <summary>It has interfaces of pods, and so no pods are asked for under another name.</summary>
    [Fact]
    public async Task A_name_that_no_node_has_is_one_warning()
    {
        await _node.StartFollowingAsync();
        for (var question = 0; question < 3; question++)
        {
            _node.Store.Questions.Set();
            await _node.PassAsync();
            await _node.WatchIsOpenAsync();
        }

        Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("No pod is on node worker-1, but interfaces of pods are here: set Kubernetes:NodeName", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stop_ends_it_whatever_it_waits_for()
    {
        await _node.StartWatchingAsync();
        await _node.StopAsync();
        await _server.Requests[1].Ended.WaitAsync(Silence.Limit);
        Assert.Equal(["Listed 0 pods", "Node worker-1 has no pods"], _node.Told);

        await using var pausing = new WatchingNode(_server);
        _server.Inject(new() { Status = 500 });
        await pausing.StartAsync();
        await pausing.Clock.NextPauseAsync();
        await pausing.StopAsync();
        Assert.Equal(3, _server.Requests.Count);

        _server.ClearFaults();
        _server.IsSilent = true;
        await using var connecting = new WatchingNode(_server);
        await connecting.StartAsync();
        await connecting.StopAsync();
        Assert.Empty(connecting.Told);
    }

    [Fact]
    public async Task A_node_s_name_is_escaped()
    {
        var asked = new List<string>();
        var api = new ResourceApi<PodDocument>(
            (request, _) =>
            {
                asked.Add(request.RequestUri!.PathAndQuery);
                return Task.FromResult(new HttpResponseMessage { Content = new StringContent(Answers.EmptyList("7")) });
            },
            new("https://127.0.0.1:6443"),
            PodDocument.OfNode("a b&c"));
        await api.ListAsync("x/y=", ResourceApi<PodDocument>.AnyAge, static () => { }, CancellationToken.None);
        Assert.Equal(["/api/v1/pods?fieldSelector=spec.nodeName%3Da%20b%26c&limit=500&continue=x%2Fy%3D"], asked);
    }

    /// <summary>The next list is empty, and a watch that is not answered otherwise not at all: its version is none of the cluster's.</summary>
    private void ListOnce(string version)
    {
        _server.AnswerLists(Answers.EmptyList(version));
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Unanswered });
    }
}
