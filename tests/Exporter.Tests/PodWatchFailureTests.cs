using System.Globalization;
using System.Net;
using System.Text;
using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

/// <summary>The watch while the API server, or the way to it, fails.</summary>
public sealed class PodWatchFailureTests : IAsyncLifetime
{
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan WatchPatience = TimeSpan.FromSeconds(150);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

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

    /// <summary>Counts without a pod are held for 30 s here.</summary>
    [Fact]
    public async Task Pauses_are_random_and_at_most_half_of_the_time_that_counts_are_held()
    {
        _server.Inject(new() { Status = 503 });
        await _node.StartAsync();
        Assert.InRange(await PassAsync(), 0.5, 15);
        var pauses = new List<double>();
        for (var failure = 0; failure < 20; failure++)
        {
            pauses.Add(await PassAsync());
        }
        Assert.All(pauses, pause => Assert.InRange(pause, 7.5, 15));
        Assert.True(pauses.Max() - pauses.Min() > 0.5, string.Join(' ', pauses));
    }

    [Fact]
    public async Task A_watch_that_worked_and_is_cut_is_made_again_within_a_second()
    {
        _server.Inject(new() { Status = 503 }, times: 6);
        await _node.StartAsync();
        for (var failure = 0; failure < 6; failure++)
        {
            await _node.PassAsync();
        }
        await _node.NextWatchAsync();
        _cluster.Add(new("shop", "web"));
        await _node.UntilAsync(() => _node.Store.Count == 1);
        _server.KillConnections();
        Assert.InRange(await PassAsync(), 0, 1);
        await _node.NextWatchAsync(after: 8);
    }

    /// <summary>As by a balancer that closes idle connections.</summary>
    [Fact]
    public async Task A_quiet_watch_that_is_cut_again_and_again_is_one_warning_no_long_pause_and_no_loss_of_the_watch()
    {
        await _node.StartFollowingAsync();
        for (var cut = 1; cut <= 5; cut++)
        {
            await _node.AnswerIsReadAsync();
            _node.Advance(TimeSpan.FromSeconds(20));
            _server.KillConnections();
            var pause = await _node.Clock.NextPauseAsync();
            Assert.InRange(pause.TotalSeconds, 0, 1);
            Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]);
            Assert.Equal(cut, await _node.CountErrorsAsync("cut"));
            _node.Advance(pause);
            await _node.WatchIsOpenAsync();
        }
        Assert.Single(_server.Requests, request => request.IsList);
        Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("was closed after 20 s in which nothing came", StringComparison.Ordinal));
    }

    /// <summary>The API server forgets its past in a restart, and answers a watch from before with 200 and an event.</summary>
    [Fact]
    public async Task After_an_outage_a_version_that_is_gone_is_listed_at_once()
    {
        await _node.StartFollowingAsync();
        _server.Inject(new() { Status = 503 }, times: 5);
        _server.KillConnections();
        for (var failure = 0; failure < 5; failure++)
        {
            await _node.PassAsync();
        }
        var pause = await _node.Clock.NextPauseAsync();
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Error, ErrorCode = 410 }, times: 1);
        var number = _server.Requests.Count;
        _node.Advance(pause);
        await _server.WaitForRequestAsync(request => request.IsWatch, after: number + 2);

        Assert.Equal([true, false, true], _server.Requests.Skip(number).Select(request => request.IsWatch));
        Assert.False(_node.Clock.TryTakePause(out _));
    }

    [Fact]
    public async Task A_token_that_is_refused_is_read_again_and_used_at_once()
    {
        await _node.StartFollowingAsync();
        _server.Inject(new() { Status = 401 }, times: 1);
        _server.KillConnections();
        await _node.PassAsync();
        await _server.WaitForRequestAsync(request => request.Number == 4);

        Assert.False(_node.Clock.TryTakePause(out _));
        Assert.Equal(1, await _node.CountErrorsAsync("unauthorized"));
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(504)]
    public async Task A_question_that_is_not_answered_leaves_the_watch_and_is_asked_again_later(int status)
    {
        await _node.StartFollowingAsync();
        var before = _server.Requests[^1].Number;
        _server.Inject(new() { On = Requests.Lists, Status = status }, times: 1);
        _node.Store.Questions.Set();
        await _node.PassAsync();
        await _node.WatchIsOpenAsync();
        _cluster.Add(new("shop", "next"));
        await _node.UntilAsync(() => _node.Pods.Contains("shop/next Pending"));

        var pause = await _node.PassAsync();
        await _node.WatchIsOpenAsync();

        Assert.InRange(pause.TotalSeconds, 30, 62);
        Assert.Equal([false, true, false, true], _server.Requests.Where(request => request.Number > before).Select(request => request.IsWatch));
        Assert.Equal(2, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"] - 1);
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]);
    }

    [Fact]
    public async Task A_list_that_succeeds_is_no_progress()
    {
        _server.Inject(new() { On = Requests.Watches, Status = 500 }, times: 4);
        await _node.StartAsync();
        for (var failure = 0; failure < 4; failure++)
        {
            Assert.InRange(await PassAsync(), 0.5, 15);
        }
        await _node.PassUntilAsync(request => request.Number == 10);
        Assert.Equal(5, _server.Requests.Count(request => request.IsList));
    }

    [Fact]
    public async Task Watches_that_end_at_once_with_nothing_said_are_asked_for_with_pauses()
    {
        _server.AnswerWatches("", times: 5);
        await _node.StartAsync();
        for (var failure = 0; failure < 5; failure++)
        {
            Assert.InRange(await PassAsync(), 0.5, 15);
        }
        await _server.WaitForRequestAsync(request => request.Number == 7);
        Assert.Single(_server.Requests, request => request.IsList);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(45, 45)]
    [InlineData(120, 120)]
    [InlineData(121, 120)]
    [InlineData(86_400, 120)]
    [InlineData(int.MaxValue, 120)]
    public async Task As_long_as_the_API_server_asks_to_be_left_alone_it_is_but_for_two_minutes_at_most(int asked, int least)
    {
        _server.Inject(new() { Status = 429, RetryAfter = asked }, times: 1);
        await _node.StartAsync();
        Assert.InRange((await _node.PassAsync()).TotalSeconds, least, least * 1.5);
        await _node.NextWatchAsync();
        Assert.Equal(1, await _node.CountErrorsAsync("too_many_requests"));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-5")]
    [InlineData("soon")]
    [InlineData("Wed, 25 Nov 2026 12:00:00 GMT")]
    [InlineData("99999999999999999999")]
    public async Task A_time_to_come_back_that_is_none_is_not_asked_for(string asked)
    {
        _server.Handle(
            request => request.IsList,
            async context =>
            {
                context.Response.StatusCode = 429;
                context.Response.Headers.RetryAfter = asked;
                await context.Response.WriteAsync("no");
            },
            times: 2);
        await _node.StartAsync();
        Assert.InRange(await PassAsync(), 0.5, 15);
        Assert.InRange(await PassAsync(), 7.5, 15);
        await _node.NextWatchAsync();
    }

    [Theory]
    [InlineData(401, "unauthorized")]
    [InlineData(403, "forbidden")]
    [InlineData(404, "refused")]
    [InlineData(429, "too_many_requests")]
    [InlineData(503, "refused")]
    public async Task A_watch_that_is_refused_comes_back_from_its_version(int status, string reason)
    {
        _cluster.Add(new("shop", "web"));
        _server.Inject(new() { On = Requests.Watches, Status = status }, times: 2);
        await _node.StartAsync();
        await _node.PassAsync();
        if (status != 401)
        {
            await _node.PassAsync();
        }
        await _server.WaitForRequestAsync(request => request.Number == 4);

        Assert.Equal(["0", "1001", "1001", "1001"], _server.Requests.Select(request => request["resourceVersion"]));
        Assert.Equal(2, await _node.CountErrorsAsync(reason));
        Assert.Equal(["shop/web Pending"], _node.Pods);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(500)]
    [InlineData(504)]
    public async Task A_watch_whose_version_may_be_what_is_wrong_is_listed_anew(int status)
    {
        _server.Inject(new() { On = Requests.Watches, Status = status }, times: 1);
        await _node.StartAsync();
        await _node.PassAsync();
        await _server.WaitForRequestAsync(request => request.Number == 4);

        Assert.Equal([false, true, false, true], _server.Requests.Select(request => request.IsWatch));
        Assert.Equal(1, await _node.CountErrorsAsync("refused"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_version_that_is_gone_is_listed_at_once_and_then_with_pauses(bool asStatus)
    {
        _server.Inject(asStatus ? new() { On = Requests.Watches, Status = 410 } : new() { On = Requests.Watches, Break = Breaking.Error, ErrorCode = 410 }, times: 3);
        await _node.StartAsync();
        var pause = await _node.Clock.NextPauseAsync();
        Assert.InRange(pause.TotalSeconds, 0.5, 15);
        Assert.Equal([false, true, false, true], _server.Requests.Select(request => request.IsWatch));
        _node.Advance(pause);
        Assert.InRange(await PassAsync(), 0.5, 15);
        await _server.WaitForRequestAsync(request => request.Number == 8);

        Assert.Equal(3, await _node.CountErrorsAsync("gone"));
        Assert.Equal(4, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]);
    }

    [Fact]
    public async Task A_version_that_goes_while_it_is_watched_is_listed_at_once_every_time()
    {
        for (var round = 1; round <= 3; round++)
        {
            ListOnce($"{round}0");
            _server.AnswerWatches(Answers.Event("ADDED", "web", $"{round}1") + """{"type":"ERROR","object":{"code":410,"message":"too old"}}""" + "\n");
        }
        await _node.StartAsync();
        await _server.WaitForRequestAsync(request => request.Number == 8);

        Assert.False(_node.Clock.TryTakePause(out _));
        Assert.Equal([false, true, false, true, false, true, false, true], _server.Requests.Select(request => request.IsWatch));
    }

    [Theory]
    [InlineData(500, true)]
    [InlineData(504, true)]
    [InlineData(429, false)]
    public async Task An_error_in_a_watch_is_as_that_status(int code, bool isListed)
    {
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Error, ErrorCode = code, AfterEvents = 2 }, times: 1);
        await _node.StartWatchingAsync();
        _cluster.Add(new("shop", "web"));
        _cluster.Add(new("shop", "other"));
        Assert.InRange(await PassAsync(), 0.5, 15);
        var again = await _server.WaitForRequestAsync(request => request.Number == 3);

        Assert.Equal(isListed, again.IsList);
        Assert.Equal(isListed ? null : "1002", again["resourceVersion"]);
        Assert.Equal(2, _node.Store.Count);
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(false, 1)]
    [InlineData(false, 0)]
    public async Task A_connection_that_breaks_in_an_event_loses_none_and_doubles_none(bool reset, int? atByte)
    {
        for (var number = 0; number < 10; number++)
        {
            _cluster.Add(new("shop", $"web-{number}"));
        }
        _server.Inject(new() { On = Requests.Watches, Break = reset ? Breaking.Reset : Breaking.Cut, AfterEvents = 3, AtByte = atByte }, times: 1);
        await _node.StartWatchingAsync();
        for (var number = 0; number < 10; number++)
        {
            _cluster.SetStatus("shop", $"web-{number}", "Running", $"10.0.0.{number}");
        }
        await _node.PassAsync();
        var again = await _node.NextWatchAsync(after: 2);
        await _node.UntilAsync(() => _node.Pods.Contains("shop/web-9 Running 10.0.0.9"));

        Assert.Equal("1013", again["resourceVersion"]);
        Assert.Equal(3, _server.Requests.Count);
        Assert.Equal(Enumerable.Range(0, 10).Select(number => $"shop/web-{number} Running 10.0.0.{number}"), _node.Pods);
        Assert.All(Enumerable.Range(0, 10), number => Assert.Single(_node.Store.GetClaims(IPAddress.Parse($"10.0.0.{number}"))));
        // Each once in the list, and once in its event.
        Assert.Equal(10 + 10, _node.Store.Changes);
        Assert.Equal(1, await _node.CountErrorsAsync("cut"));
    }

    [Fact]
    public async Task A_clean_end_in_the_middle_of_an_event_loses_none()
    {
        var second = Answers.Event("ADDED", "other", "8", "10.0.0.2");
        ListOnce("5");
        _server.AnswerWatches(Answers.Event("ADDED", "web", "7") + second[..^1]);
        _server.AnswerWatches(second);
        await _node.StartAsync();
        await _server.WaitForRequestAsync(request => request["resourceVersion"] == "8");

        Assert.Equal("7", _server.Requests[2]["resourceVersion"]);
        Assert.Equal(["shop/other Running 10.0.0.2", "shop/web Running 10.0.0.1"], _node.Pods);
        Assert.Equal(2, _node.Store.Changes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_list_that_breaks_off_changes_nothing_and_is_asked_for_again(bool reset)
    {
        _cluster.Add(new("shop", "web"));
        _server.Inject(new() { On = Requests.Lists, Break = reset ? Breaking.Reset : Breaking.Cut, AtByte = 3000 }, times: 2);
        await _node.StartAsync();
        var pause = await _node.Clock.NextPauseAsync();
        Assert.Equal(0, _node.Store.Changes);
        Assert.Single(_node.Readiness.Reasons);
        _node.Advance(pause);
        await _node.PassAsync();
        await _node.NextWatchAsync();

        Assert.Equal(["shop/web Pending"], _node.Pods);
        Assert.Equal(2, await _node.CountErrorsAsync("unreachable"));
    }

    [Fact]
    public async Task A_list_that_cannot_be_continued_begins_again_and_leaves_nothing_of_its_pages()
    {
        _cluster.HasWatchCache = false;
        for (var number = 0; number < 1001; number++)
        {
            _cluster.Add(new("shop", $"web-{number:D4}"));
        }
        var pages = 0;
        _server.Handle(
            request => request["continue"] is not null && ++pages == 2,
            context =>
            {
                _cluster.Delete("shop", "web-0000");
                _cluster.Compact();
                return PodEndpoints.FailAsync(context, ApiFailure.ContinueExpired("other"));
            });
        var watch = await _node.StartWatchingAsync();

        Assert.False(_node.Clock.TryTakePause(out _));
        Assert.Equal(1000, _node.Store.Count);
        Assert.DoesNotContain("shop/web-0000 Pending", _node.Pods);
        Assert.Equal(3 + 2 + 1, watch.Number);
        Assert.Equal((1, 2), (await _node.CountErrorsAsync("gone"), (await _node.ScrapeAsync())["podnet_exporter_kubernetes_relists_total{resource=\"pods\"}"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_list_without_an_answer_is_given_up_after_half_a_minute(bool hasBegun)
    {
        var how = hasBegun ? Breaking.HalfOpen : Breaking.Unanswered;
        _server.Inject(new() { On = Requests.Lists, Break = how, AtByte = 10 }, times: 1);
        await _node.StartAsync();
        await _server.WaitForRequestAsync(request => request.IsList);
        _node.Advance(AnswerPatience - Moment);
        Assert.Equal(0, await _node.CountErrorsAsync("silent"));
        _node.Advance(Moment);
        await _node.PassAsync();
        await _node.NextWatchAsync();

        await _server.Requests[0].Ended.WaitAsync(Silence.Limit);
        Assert.Equal(1, await _node.CountErrorsAsync("silent"));
        Assert.Contains("Nothing came for 30 s while waiting for an answer to the list of pods", _node.Logger.Entries[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_page_of_a_list_has_its_own_half_minute()
    {
        _cluster.HasWatchCache = false;
        for (var number = 0; number < 1001; number++)
        {
            _cluster.Add(new("shop", $"web-{number:D4}"));
        }
        foreach (var page in (int[])[1, 2, 3])
        {
            _server.Handle(request => request.Number == page, async context =>
            {
                _node.Advance(AnswerPatience - Moment);
                await context.AnswerAsync(Encoding.UTF8.GetString(_cluster.List("worker-1", limit: 500, continued: context.Request.Query["continue"].FirstOrDefault())));
            });
        }
        await _node.StartWatchingAsync();
        Assert.Equal(1001, _node.Store.Count);
        Assert.Equal(0, await _node.CountErrorsAsync("silent"));
    }

    /// <summary>As at a version that is still to come, or on a connection whose other end is gone.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_silent_watch_is_given_up_and_listed_anew(bool hasBegun)
    {
        _server.Inject(new() { On = Requests.Watches, Break = hasBegun ? Breaking.HalfOpen : Breaking.Unanswered }, times: 1);
        await _node.StartWatchingAsync();
        // Half-open: this is not sent any more.
        _cluster.Add(new("shop", "web"));
        _node.Advance(WatchPatience);
        Assert.InRange(await PassAsync(), 0.5, 15);
        await _server.WaitForRequestAsync(request => request.Number == 4);

        Assert.Equal([false, true, false, true], _server.Requests.Select(request => request.IsWatch));
        Assert.Equal(["shop/web Pending"], _node.Pods);
        Assert.Equal(1, await _node.CountErrorsAsync("silent"));
        Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("Nothing came for 150 s while waiting for anything from the watch of pods", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_connection_on_which_not_even_TLS_answers_is_given_up()
    {
        await _node.StartFollowingAsync();
        _server.IsSilent = true;
        _server.KillConnections();
        await _node.WatchIsAskedForAsync();
        await _node.PassAsync();
        await _node.WatchIsAskedForAsync();
        _node.Advance(WatchPatience);
        var pause = await _node.Clock.NextPauseAsync();
        Assert.Equal((1, 1), (await _node.CountErrorsAsync("silent"), await _node.CountErrorsAsync("unreachable")));
        _server.IsSilent = false;
        _node.Advance(pause);
        await _server.WaitForRequestAsync(request => request.IsList, after: 2);
    }

    [Fact]
    public async Task A_watch_that_says_something_now_and_then_is_not_given_up()
    {
        await _node.StartWatchingAsync();
        for (var number = 0; number < 10; number++)
        {
            _cluster.Add(new("shop", $"web-{number}"));
            await _node.UntilAsync(() => _node.Store.Count == number + 1);
            _node.Advance(WatchPatience - Moment);
        }
        _cluster.Add(new("shop", "last"));
        await _node.UntilAsync(() => _node.Store.Count == 11);

        Assert.Equal(2, _server.Requests.Count);
        Assert.Equal(0, await _node.CountErrorsAsync("silent"));
        _node.Advance(WatchPatience);
        await _node.Clock.NextPauseAsync();
        Assert.Equal(1, await _node.CountErrorsAsync("silent"));
    }

    [Fact]
    public async Task Whatever_comes_of_a_watch_is_heard_even_half_an_event()
    {
        var line = Answers.Event("ADDED", "web", "7");
        var heard = 0;
        using var stream = new OneByOne(Encoding.UTF8.GetBytes(line));
        var api = new ResourceApi<PodDocument>((_, _) => Task.FromResult(new HttpResponseMessage { Content = new StreamContent(stream) }), new("https://127.0.0.1"), PodDocument.OfNode("worker-1"));
        await foreach (var change in api.WatchAsync("5", TimeSpan.FromMinutes(5), () => heard++, CancellationToken.None))
        {
            Assert.Equal("7", change.Object.Metadata.ResourceVersion);
        }
        // The head of the answer, and each byte.
        Assert.Equal(1 + line.Length, heard);
    }

    [Fact]
    public async Task A_loop_that_waits_as_long_as_it_may_is_never_stuck()
    {
        _server.Inject(new() { Status = 429, RetryAfter = 500 }, times: 2);
        await _node.StartAsync();
        await _node.PassAsync();
        var pause = await _node.Clock.NextPauseAsync();
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Unanswered }, times: 2);
        // The list takes its time as well.
        _server.Handle(request => request.IsList, async context =>
        {
            _node.Advance(AnswerPatience - Moment);
            await context.AnswerAsync(Answers.EmptyList("5"));
        });
        _node.Advance(pause);
        await _node.NextWatchAsync();
        // Advancing checks that nothing is stuck.
        _node.Advance(WatchPatience);
        await _node.PassAsync();
        var watch = await _node.NextWatchAsync(after: 4);
        _node.Advance(WatchPatience - Moment);

        Assert.Empty(_node.Health.Stuck());
        Assert.False(watch.Ended.IsCompleted);
        await _node.StopAsync();
        _node.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(["pods"], _node.Health.Stuck());
    }

    [Fact]
    public async Task A_watch_without_an_answer_is_not_stuck_after_one_that_was_quiet_for_long()
    {
        ListOnce("5");
        using var over = new SemaphoreSlim(0);
        _server.Handle(request => request.IsWatch, async context =>
        {
            await context.StartChunkedAsync();
            await context.WriteChunkAsync(Encoding.UTF8.GetBytes(Answers.Event("ADDED", "web", "7")));
            await over.WaitAsync();
            await context.EndChunkedAsync();
        });
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Unanswered }, times: 1);
        var watch = await _node.StartWatchingAsync();
        await _node.UntilAsync(() => _node.Store.Count == 1);
        _node.Advance(WatchPatience - Moment);
        over.Release();
        await _node.NextWatchAsync(after: watch.Number);

        _node.Advance(WatchPatience);
        await _node.PassAsync();
    }

    [Theory]
    [InlineData("<html><body>Sign in</body></html>")]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"kind":"Status","metadata":{},"status":"Success"}""")]
    [InlineData("""{"error":"no route"}""")]
    [InlineData("""{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":[{"metadata":""")]
    [InlineData("""{"kind":"PodList","metadata":{"resourceVersion":9},"items":[]}""")]
    [InlineData("""{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":[]} and more""")]
    public async Task A_list_that_is_none_changes_nothing(string body)
    {
        _cluster.Add(new("shop", "web"));
        await _node.StartFollowingAsync();
        _server.AnswerLists(body);
        _server.Inject(new() { On = Requests.Watches, Status = 410 }, times: 1);
        _server.KillConnections();
        await _node.PassAsync();
        var pause = await _node.Clock.NextPauseAsync();

        Assert.Equal(["shop/web Pending"], _node.Pods);
        Assert.Equal(1, await _node.CountErrorsAsync("unreadable"));
        _node.Advance(pause);
        await _server.WaitForRequestAsync(request => request.IsWatch, after: 4);
        Assert.Equal(["shop/web Pending"], _node.Pods);
    }

    [Theory]
    [InlineData("<html>")]
    [InlineData("\0\u0001\u0002")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("\"ADDED\"")]
    [InlineData("""{"type":"ADDED"}""")]
    [InlineData("""{"type":"ADDED","object":null}""")]
    [InlineData("""{"type":"","object":{}}""")]
    [InlineData("""{"type":7,"object":{}}""")]
    [InlineData("""{"type":"ADDED","object":{"metadata":[]}}""")]
    [InlineData("""{"type":"ADDED","object":{"metadata":{"name":"\ud800"}}}""")]
    [InlineData("""{"type":"ADDED","object":{"metadata":{"deletionTimestamp":"soon"}}}""")]
    [InlineData("""{"type":"ERROR","object":"it broke"}""")]
    [InlineData("""{"type":"ADDED","object":{}} {"type":"ADDED","object":{}}""")]
    public async Task An_event_that_cannot_be_read_makes_it_list_anew(string line)
    {
        ListOnce("5");
        _server.AnswerWatches(Answers.Event("ADDED", "web", "7") + line + "\n" + Answers.Event("ADDED", "behind", "8", "10.0.0.2"));
        await _node.StartAsync();
        var pause = await _node.Clock.NextPauseAsync();
        Assert.InRange(pause.TotalSeconds, 0.5, 15);
        Assert.Equal(["shop/web Running 10.0.0.1"], _node.Pods);
        _node.Advance(pause);
        await _server.WaitForRequestAsync(request => request.IsList, after: 2);

        Assert.Equal(1, await _node.CountErrorsAsync("unreadable"));
        Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("Watching pods failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_endless_event_is_given_up()
    {
        _server.Handle(request => request.IsWatch, async context =>
        {
            await context.StartChunkedAsync();
            var piece = Encoding.UTF8.GetBytes(new string('a', 1 << 16));
            while (true)
            {
                await context.WriteChunkAsync(piece);
            }
        });
        await _node.StartAsync();
        await _node.PassAsync();
        await _server.WaitForRequestAsync(request => request.IsList, after: 2);

        await _server.Requests[1].Ended.WaitAsync(Silence.Limit);
        Assert.Equal(1, await _node.CountErrorsAsync("unreadable"));
        Assert.Contains("An event has more than 8 MiB.", Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("Watching pods failed", StringComparison.Ordinal)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_more_than_8_MiB_of_an_event_are_read()
    {
        using var stream = new Endless();
        var api = new ResourceApi<PodDocument>((_, _) => Task.FromResult(new HttpResponseMessage { Content = new StreamContent(stream) }), new("https://127.0.0.1"), PodDocument.OfNode("worker-1"));
        await using var events = api.WatchAsync("5", TimeSpan.FromMinutes(5), () => { }, CancellationToken.None).GetAsyncEnumerator();
        await Assert.ThrowsAsync<System.Text.Json.JsonException>(() => events.MoveNextAsync().AsTask());
        Assert.InRange(stream.Given, 8 << 20, 9 << 20);
    }

    [Fact]
    public async Task An_event_of_7_MiB_is_read()
    {
        ListOnce("5");
        _server.AnswerWatches(Answers.Event("ADDED", "web", "7").Replace("\"status\"", $"\"note\":\"{new string('a', 7 << 20)}\",\"status\"", StringComparison.Ordinal));
        await _node.StartAsync();
        await _server.WaitForRequestAsync(request => request["resourceVersion"] == "7");
        Assert.Equal(["shop/web Running 10.0.0.1"], _node.Pods);
    }

    [Fact]
    public async Task Known_pods_stay_known_through_an_outage_that_is_told_when_it_begins_and_when_it_ends()
    {
        _cluster.Add(new("shop", "web"));
        _cluster.SetStatus("shop", "web", "Running", "10.0.0.1");
        await _node.StartWatchingAsync();
        _cluster.Add(new("shop", "other"));
        await _node.UntilAsync(() => _node.Store.Count == 2);
        Assert.NotNull(_node.Store.CurrentSince);
        var heardAt = _node.Clock.GetUtcNow();

        await _server.StopAsync();
        for (var failure = 0; failure < 10; failure++)
        {
            await _node.PassAsync();
        }
        var pause = await _node.Clock.NextPauseAsync();
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((0, 2, 10), (scrape["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"], scrape["podnet_exporter_kubernetes_pods"], await _node.CountErrorsAsync("unreachable")));
        Assert.Equal(heardAt.ToUnixTimeSeconds(), Math.Floor(scrape["podnet_exporter_kubernetes_last_event_timestamp_seconds{resource=\"pods\"}"]));
        Assert.Null(_node.Store.CurrentSince);
        Assert.Equal(["shop/other Pending", "shop/web Running 10.0.0.1"], _node.Pods);
        Assert.Null(Assert.Single(_node.Store.GetClaims(IPAddress.Parse("10.0.0.1"))).EndTime);
        Assert.Equal(["Listed 1 pods", "Watching pods failed, retrying"], _node.Told);

        await _server.StartAsync();
        _node.Advance(pause);
        _cluster.Delete("shop", "other");
        await _node.UntilAsync(() => _node.Store.Count == 1);
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]);
        Assert.Equal(_node.Clock.GetUtcNow(), _node.Store.CurrentSince);
        Assert.Equal("1003", _server.Requests[^1]["resourceVersion"]);
        Assert.Equal(["Listed 1 pods", "Watching pods failed, retrying", "Watching pods again"], _node.Told);
        Assert.Equal([LogLevel.Information, LogLevel.Warning, LogLevel.Information], _node.Logger.Entries.Select(entry => entry.Level));
    }

    [Fact]
    public async Task A_graceful_stop_of_the_API_server_is_waited_out()
    {
        _cluster.Add(new("shop", "web"));
        await _node.StartWatchingAsync();
        var stopped = _server.StopAsync(gracefully: true);
        _cluster.SetStatus("shop", "web", "Running", "10.0.0.1");
        await _node.UntilAsync(() => _node.Pods.SequenceEqual(["shop/web Running 10.0.0.1"]));
        _cluster.EndWatches();
        await stopped;
        await _node.PassAsync();
        var pause = await _node.Clock.NextPauseAsync();
        await _server.StartAsync();
        _node.Advance(pause);
        var watch = await _node.PassUntilAsync(request => request.IsWatch, after: 2);

        Assert.Equal("1002", watch["resourceVersion"]);
        Assert.Single(_server.Requests, request => request.IsList);
    }

    [Theory]
    [InlineData("401")]
    [InlineData("403")]
    [InlineData("429")]
    [InlineData("500")]
    [InlineData("503")]
    [InlineData("refused")]
    public async Task A_problem_is_named_once(string kind)
    {
        await _node.StartWatchingAsync();
        _cluster.Add(new("shop", "web"));
        await _node.UntilAsync(() => _node.Store.Count == 1);
        await FailAsync(kind);
        if (kind != "refused")
        {
            _server.KillConnections();
            await _node.PassAsync();
        }
        for (var failure = 0; failure < 5; failure++)
        {
            await _node.PassAsync();
        }
        await _node.Clock.NextPauseAsync();

        var told = Assert.Single(_node.Logger.Entries, entry => entry.Text.Contains("Watching pods failed", StringComparison.Ordinal)).Text;
        Assert.Contains(kind == "refused" ? "Connection refused" : kind, told, StringComparison.Ordinal);
        Assert.DoesNotContain(_node.Logger.Entries, entry => entry.Text.Contains("tells of pods again", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("401", "The API server answers 401: Unauthorized")]
    [InlineData("403", "The API server answers 403: pods is forbidden: User \"system:serviceaccount:podnet-system:podnet-exporter\" cannot list resource \"pods\" in API group \"\" at the cluster scope")]
    [InlineData("429", "The API server answers 429: Too many requests, please try again later.")]
    [InlineData("503", "The API server answers 503: the server is currently unable to handle the request")]
    [InlineData("html", "its answer is not a list of pods in JSON (line 1, column 1)")]
    [InlineData("not a list", "its answer is not a list of pods")]
    [InlineData("cut", "the connection ended in the middle of an answer")]
    [InlineData("refused", "Connection refused")]
    public async Task Whoever_reads_the_log_or_asks_for_readiness_sees_the_problem(string kind, string text)
    {
        await FailAsync(kind);
        await _node.StartAsync();
        await _node.PassAsync();
        await _node.PassAsync();
        await _node.Clock.NextPauseAsync();

        var (level, told) = Assert.Single(_node.Logger.Entries);
        Assert.Equal(LogLevel.Warning, level);
        Assert.StartsWith("Watching pods failed, retrying; known pods keep their names: ", told, StringComparison.Ordinal);
        Assert.Contains(text, told, StringComparison.Ordinal);
        Assert.Contains(text, Assert.Single(_node.Readiness.Reasons), StringComparison.Ordinal);
    }

    public static TheoryData<string> Kinds =>
    [
        "401", "403", "404", "410", "429", "429 for 30 s", "429 for 0 s", "500", "503", "504", "watch 401", "watch 403", "watch 410", "watch 429", "watch 500", "watch 503",
        "error 410", "error 429", "error 500", "html", "not a list", "watch html", "cut", "reset", "watch ends", "refused",
    ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task An_hour_of_a_failure_is_no_storm_of_requests(string kind)
    {
        await FailAsync(kind);
        await _node.StartAsync();
        var pauses = 0;
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromHours(1); pauses++)
        {
            passed += await _node.PassAsync();
        }
        // 7.5 to 15 seconds each, or as long as is asked for; from 0.5 s where something else was answered in between.
        Assert.InRange(pauses, 80, 600);
        Assert.InRange(_server.Requests.Count, kind == "refused" ? 0 : pauses, (2 * pauses) + 4);
    }

    [Theory]
    [InlineData(false, 75, 100)]
    [InlineData(true, 38, 54)]
    public async Task An_hour_of_silence_is_no_storm_of_requests(bool ofWatches, int least, int most)
    {
        var patience = ofWatches ? WatchPatience : AnswerPatience;
        _server.Inject(new() { On = ofWatches ? Requests.Watches : Requests.Lists, Break = Breaking.Unanswered });
        await _node.StartAsync();
        var number = 0;
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromHours(1); passed += patience)
        {
            number = (await _server.WaitForRequestAsync(request => request.IsWatch == ofWatches, after: number)).Number;
            _node.Advance(patience);
            passed += await _node.PassAsync();
        }
        Assert.InRange(number, least, most);
    }

    private async Task<double> PassAsync() => (await _node.PassAsync()).TotalSeconds;

    /// <summary>The next list is empty, and a watch that is not answered otherwise not at all: its version is none of the cluster's.</summary>
    private void ListOnce(string version)
    {
        _server.AnswerLists(Answers.EmptyList(version));
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Unanswered });
    }

    private async Task FailAsync(string kind)
    {
        switch (kind.Split(' '))
        {
            case ["429", "for", var seconds, "s"]:
                _server.Handle(
                    request => request.IsList,
                    async context =>
                    {
                        context.Response.StatusCode = 429;
                        context.Response.Headers.RetryAfter = seconds;
                        await context.Response.WriteAsync("no");
                    },
                    times: int.MaxValue);
                break;
            case ["watch", "ends"]:
                _server.AnswerWatches("", times: int.MaxValue);
                break;
            case ["watch", "html"]:
                _server.AnswerWatches("<html>\n", times: int.MaxValue);
                break;
            case ["watch", var status]:
                _server.Inject(new() { On = Requests.Watches, Status = int.Parse(status, CultureInfo.InvariantCulture) });
                break;
            case ["error", var code]:
                _server.Inject(new() { On = Requests.Watches, Break = Breaking.Error, ErrorCode = int.Parse(code, CultureInfo.InvariantCulture) });
                break;
            case ["html"]:
                _server.AnswerLists("<html>", times: int.MaxValue);
                break;
            case ["not", "a", "list"]:
                _server.AnswerLists("{}", times: int.MaxValue);
                break;
            case ["cut" or "reset"]:
                _server.Inject(new() { On = Requests.Lists, Break = kind == "cut" ? Breaking.Cut : Breaking.Reset, AtByte = 10 });
                break;
            case ["refused"]:
                await _server.StopAsync();
                break;
            default:
                _server.Inject(new() { Status = int.Parse(kind, CultureInfo.InvariantCulture) });
                break;
        }
    }

    /// <summary>Hands out one byte at a time.</summary>
    private sealed class OneByOne(byte[] data) : MemoryStream(data)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..1], cancellationToken);
    }

    private sealed class Endless : MemoryStream
    {
        internal int Given { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            buffer.Span.Fill((byte)'a');
            Given += buffer.Length;
            return new(buffer.Length);
        }
    }
}
