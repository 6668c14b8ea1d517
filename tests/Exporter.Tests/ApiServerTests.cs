using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Exporter.Tests.Kubernetes;

namespace Exporter.Tests;

public sealed class ApiServerTests : IAsyncLifetime
{
    private const string List = "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1";


    private readonly Cluster _cluster = new();
    private ApiServer _server = null!;
    private ApiClient _client = null!;

    public static TheoryData<string> Recorded => [.. Transcript.Names];

    public async ValueTask InitializeAsync()
    {
        _server = await ApiServer.CreateAsync(_cluster);
        _client = new(_server);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        Assert.Empty(_server.Failures);
    }

    [Theory]
    [MemberData(nameof(Recorded))]
    public async Task A_transcript_is_replayed_byte_for_byte(string name)
    {
        var transcript = Transcript.Read(name);
        _server.Enqueue(transcript);

        using var response = await _client.GetAsync(transcript.PathAndQuery);
        Assert.Equal(transcript.Status, (int)response.StatusCode);
        Assert.Equal(
            Comparable(transcript.Headers),
            Comparable(response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated).Select(header => KeyValuePair.Create(header.Key, header.Value.ToString()))));

        await using var stream = await response.Content.ReadAsStreamAsync();
        var body = new byte[transcript.Body.Length];
        await stream.ReadExactlyAsync(body);
        Assert.Equal(transcript.Body, body);
        var end = stream.ReadAsync(new byte[1]).AsTask();
        switch (transcript.End)
        {
            case TranscriptEnd.Complete:
                Assert.Equal(0, await end);
                break;
            case TranscriptEnd.Cut:
                Assert.Equal(HttpRequestError.ResponseEnded, (await Assert.ThrowsAsync<HttpIOException>(() => end)).HttpRequestError);
                break;
            case TranscriptEnd.Reset:
                Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>((await Assert.ThrowsAnyAsync<IOException>(() => end)).GetBaseException()).SocketErrorCode);
                break;
            default:
                Assert.False(end.IsCompleted);
                break;
        }
    }

    [Theory]
    [InlineData("01-list-paged/page-1")]
    [InlineData("12-outage/killed-inside-a-document")]
    [InlineData("15-burst/watch")]
    public async Task A_transcript_has_the_chunks_that_were_recorded(string name)
    {
        var transcript = Transcript.Read(name);
        _server.Enqueue(transcript);

        await using var stream = await _client.ConnectAsync(transcript.PathAndQuery);
        while ((await ReadLineAsync(stream)).Length > 0)
        {
        }
        foreach (var (_, length) in transcript.Chunks!)
        {
            var declared = int.Parse(await ReadLineAsync(stream), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            await stream.ReadExactlyAsync(new byte[length]);
            if (declared != length)
            {
                Assert.Equal(190_186, declared);
                return;
            }
            Assert.Empty(await ReadLineAsync(stream));
        }
    }

    [Fact]
    public async Task A_transcript_is_sent_at_the_recorded_times_when_asked()
    {
        var transcript = Transcript.Read("05-bookmarks/watch-quiet");
        var time = new LeapingTime();
        _server.Enqueue(transcript, time);

        using var response = await _client.GetAsync(transcript.PathAndQuery);
        Assert.Equal(transcript.Body, await response.Content.ReadAsByteArrayAsync());
        // A timer has whole milliseconds.
        Assert.Equal([.. transcript.Chunks!.Select(chunk => (long)chunk.At.TotalMilliseconds), 190_001], time.Leaps.Skip(1).Select(time => (long)time.TotalMilliseconds));
    }

    [Fact]
    public async Task Transcripts_answer_requests_of_their_kind_in_their_order()
    {
        _server.Enqueue(Transcript.Read("01-list-paged/watch-from-the-list"), Transcript.Read("01-list-paged/page-1"), Transcript.Read("01-list-paged/page-2"));

        Assert.Equal(Transcript.Read("01-list-paged/page-1").Body, await BytesAsync(List));
        Assert.Equal(Transcript.Read("01-list-paged/page-2").Body, await BytesAsync(List));
        Assert.Equal(Transcript.Read("01-list-paged/watch-from-the-list").Body, await BytesAsync(List + "&watch=true"));
        Assert.Equal(0, (await JsonAsync(List)).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Pages_of_a_list_show_one_version()
    {
        AddPods(250);
        var first = await JsonAsync(List + "&limit=100");
        _cluster.Delete("shop", "web-240");
        _cluster.Add(new("shop", "web-150a"));
        var second = await JsonAsync($"{List}&limit=100&continue={Continue(first)}");
        var third = await JsonAsync($"{List}&limit=100&continue={Continue(second)}");

        Assert.Equal(Enumerable.Range(0, 250).Select(Name), Names(first).Concat(Names(second)).Concat(Names(third)));
        Assert.All([second, third], page => Assert.Equal(Version(first), Version(page)));
        Assert.Null(Continue(third));
        Assert.False(first.GetProperty("metadata").TryGetProperty("remainingItemCount", out _));
        Assert.Equal(150, (await JsonAsync("/api/v1/pods?limit=100")).GetProperty("metadata").GetProperty("remainingItemCount").GetInt32());
        Assert.Equal(250, (await JsonAsync(List + "&limit=100&resourceVersion=0")).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task A_list_of_a_node_has_its_pods_only()
    {
        _cluster.Add(new("shop", "here"));
        _cluster.Add(new("shop", "there") { NodeName = "worker-2" });
        _cluster.Add(new("shop", "nowhere") { NodeName = null });

        Assert.Equal(["here"], Names(await JsonAsync(List)));
        Assert.Equal(["here", "nowhere", "there"], Names(await JsonAsync("/api/v1/pods")));
    }

    [Fact]
    public async Task An_empty_list_is_as_recorded()
    {
        _cluster.Advance(337 - (int)_cluster.Version + 1000);
        Assert.Equal(Transcript.Read("02-list-empty").Lines[0].Replace("337", "1337", StringComparison.Ordinal) + "\n", Encoding.UTF8.GetString(await BytesAsync(List)));
    }

    [Fact]
    public async Task A_large_list_is_compressed_for_who_asks()
    {
        AddPods(40);
        using var response = await _client.GetAsync(List, "gzip");
        Assert.Equal(["gzip"], response.Content.Headers.ContentEncoding);
        await using var stream = new GZipStream(await response.Content.ReadAsStreamAsync(), CompressionMode.Decompress);
        Assert.Equal(40, (await JsonDocument.ParseAsync(stream)).RootElement.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public void A_pod_has_the_document_of_a_real_one()
    {
        var pod = _cluster.Add(new("shop", "wäb")
        {
            Labels = new Dictionary<string, string> { ["app"] = "web" },
            Annotations = new Dictionary<string, string> { ["note"] = "a \"quoted\" ümlaut" },
            Owners = [new("ReplicaSet", "web-5d4")],
            HostNetwork = true,
            DeletionTimestamp = DateTimeOffset.UnixEpoch,
        });
        pod = _cluster.SetStatus("shop", "wäb", "Running", "10.0.0.1", "fd00::1");

        var document = pod.ToJson();
        Assert.InRange(document.Length, 4_500, 8_000);
        var json = JsonDocument.Parse(document).RootElement;
        var (metadata, status) = (json.GetProperty("metadata"), json.GetProperty("status"));
        Assert.Equal("wäb", metadata.GetProperty("name").GetString());
        Assert.Equal("web", metadata.GetProperty("labels").GetProperty("app").GetString());
        Assert.Equal("a \"quoted\" ümlaut", metadata.GetProperty("annotations").GetProperty("note").GetString());
        Assert.Equal("web-5d4", metadata.GetProperty("ownerReferences")[0].GetProperty("name").GetString());
        Assert.Equal("1970-01-01T00:00:00Z", metadata.GetProperty("deletionTimestamp").GetString());
        Assert.Equal(_cluster.Version.ToString(CultureInfo.InvariantCulture), metadata.GetProperty("resourceVersion").GetString());
        Assert.True(metadata.GetProperty("managedFields").GetArrayLength() > 1);
        Assert.True(json.GetProperty("spec").GetProperty("hostNetwork").GetBoolean());
        Assert.Equal("worker-1", json.GetProperty("spec").GetProperty("nodeName").GetString());
        Assert.Equal("Running", status.GetProperty("phase").GetString());
        Assert.Equal(["10.0.0.1", "fd00::1"], status.GetProperty("podIPs").EnumerateArray().Select(address => address.GetProperty("ip").GetString()));
        Assert.True(status.TryGetProperty("startTime", out _));
    }

    [Fact]
    public async Task A_watch_replays_what_came_after_its_version_and_goes_on()
    {
        _cluster.Add(new("shop", "before"));
        var version = _cluster.Version;
        _cluster.Add(new("shop", "web"));
        _cluster.Add(new("shop", "elsewhere") { NodeName = "worker-2" });
        using var watch = await WatchAsync(version);
        Assert.Equal("ADDED web", await NextAsync(watch));

        _cluster.SetStatus("shop", "web", "Running", "10.0.0.1");
        Assert.Equal("MODIFIED web", await NextAsync(watch));
        _cluster.Add(new("shop", "bound-later") { NodeName = null });
        _cluster.Modify("shop", "bound-later", pod => pod with { NodeName = "worker-1" });
        Assert.Equal("ADDED bound-later", await NextAsync(watch));
        _cluster.Delete("shop", "web");
        var deleted = await NextEventAsync(watch);
        Assert.Equal("DELETED web", Describe(deleted));
        Assert.Equal(_cluster.Version.ToString(CultureInfo.InvariantCulture), Version(deleted.GetProperty("object")));
        var uid = _cluster.Add(new("shop", "web")).Uid;
        Assert.Equal(uid, (await NextEventAsync(watch)).GetProperty("object").GetProperty("metadata").GetProperty("uid").GetString());

        _cluster.EndWatches();
        Assert.Null(await watch.ReadLineAsync());
    }

    [Fact]
    public async Task A_watch_without_a_version_begins_with_all_pods()
    {
        AddPods(2);
        using var watch = await WatchAsync(0, "&allowWatchBookmarks=true");
        Assert.Equal(["ADDED web-000", "ADDED web-001"], [await NextAsync(watch), await NextAsync(watch)]);
        Assert.Equal(
            Transcript.Read("13-watch-list/no-pods").Lines[0].Replace("5138", _cluster.Version.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal),
            await watch.ReadLineAsync());
    }

    [Fact]
    public async Task Bookmarks_come_on_demand_and_every_so_many_changes_to_who_allows_them()
    {
        _cluster.BookmarkEvery = 2;
        using var with = await WatchAsync(_cluster.Version, "&allowWatchBookmarks=true");
        using var without = await WatchAsync(_cluster.Version);
        AddPods(2);
        _cluster.Advance(5);
        _cluster.Bookmark();
        _cluster.Add(new("shop", "last"));

        Assert.Equal(["ADDED web-000", "ADDED web-001"], [await NextAsync(with), await NextAsync(with)]);
        Assert.Equal(Transcript.Read("05-bookmarks/watch-quiet").Lines[2].Replace("5157", "1002", StringComparison.Ordinal), await with.ReadLineAsync());
        Assert.Equal("1007", Version((await NextEventAsync(with)).GetProperty("object")));
        Assert.Equal(["ADDED web-000", "ADDED web-001", "ADDED last"], [await NextAsync(without), await NextAsync(without), await NextAsync(without)]);
    }

    [Fact]
    public async Task A_watch_ends_cleanly_when_its_time_is_up()
    {
        var time = new LeapingTime();
        await using var server = await ApiServer.CreateAsync(time: time);
        using var client = new ApiClient(server);
        using var response = await client.GetAsync(List + "&watch=true&resourceVersion=1000&timeoutSeconds=300");
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        Assert.Equal([TimeSpan.FromSeconds(300)], time.Leaps);
    }

    [Fact]
    public async Task A_watch_at_a_version_to_come_is_silent_until_then()
    {
        using var watch = await WatchAsync(_cluster.Version + 2);
        AddPods(3);
        Assert.Equal("ADDED web-002", await NextAsync(watch));
    }

    [Fact]
    public async Task After_a_compaction_an_older_watch_gets_the_recorded_410()
    {
        using var open = await WatchAsync(_cluster.Version);
        AddPods(3);
        _cluster.Compact();

        using var old = await WatchAsync(1002);
        Assert.Equal(
            Transcript.Read("08-expired/watch-at-1-410-event").Lines[0].Replace("1 (5371)", "1002 (1003)", StringComparison.Ordinal),
            await old.ReadLineAsync());
        Assert.Null(await old.ReadLineAsync());
        using var current = await WatchAsync(1003);
        _cluster.Delete("shop", "web-001");
        Assert.Equal("DELETED web-001", await NextAsync(current));
        Assert.Equal("ADDED web-000", await NextAsync(open));
    }

    [Fact]
    public async Task After_a_compaction_a_list_cannot_be_continued_consistently()
    {
        AddPods(30);
        var first = await JsonAsync(List + "&limit=10");
        _cluster.Delete("shop", "web-015");
        _cluster.Compact();

        var recorded = Transcript.Read("08-expired/continue-410");
        using var response = await _client.GetAsync($"{List}&limit=10&continue={Continue(first)}");
        Assert.Equal(HttpStatusCode.Gone, response.StatusCode);
        Assert.Equal(recorded.Body, await response.Content.ReadAsByteArrayAsync());
        var followed = await JsonAsync($"{List}&limit=10&continue={Continue(JsonDocument.Parse(recorded.Body).RootElement)}");
        Assert.Equal(Enumerable.Range(10, 11).Where(number => number != 15).Select(Name), Names(followed));
        Assert.Equal(HttpStatusCode.Gone, (await _client.GetAsync(List + "&resourceVersion=1005&resourceVersionMatch=Exact")).StatusCode);
    }

    [Theory]
    [InlineData("09-bad-resource-version/list-rv-only", "&resourceVersion=99999999")]
    [InlineData("09-bad-resource-version/list-rv-not-a-number", "&resourceVersion=abc")]
    [InlineData("09-bad-resource-version/watch-rv-not-a-number", "&resourceVersion=abc&watch=1")]
    [InlineData("09-bad-resource-version/list-bad-continue", "&continue=abc")]
    public async Task What_a_client_gets_wrong_is_answered_as_recorded(string name, string parameters)
    {
        var recorded = Transcript.Read(name);
        using var response = await _client.GetAsync(List + parameters);
        Assert.Equal(recorded.Status, (int)response.StatusCode);
        Assert.Equal(recorded.Headers.Any(header => header.Key == "Retry-After"), response.Headers.RetryAfter is not null);
        Assert.Equal(Regex.Replace(Encoding.UTF8.GetString(recorded.Body), "current: [0-9]+", "current: 1000"), await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("10-auth/list-401-bad-token", 401, "")]
    [InlineData("10-auth/list-403", 403, "")]
    [InlineData("10-auth/watch-403", 403, "&watch=1")]
    [InlineData("08-expired/list-exact-410", 410, "")]
    [InlineData("11-too-many-requests/reject-list", 429, "")]
    [InlineData("11-too-many-requests/reject-watch", 429, "&watch=1")]
    public async Task A_status_is_answered_as_recorded_and_then_the_cluster_answers_again(string name, int status, string parameters)
    {
        var recorded = Transcript.Read(name);
        var retryAfter = recorded.Headers.FirstOrDefault(header => header.Key == "Retry-After").Value;
        _server.Inject(new() { Status = status, RetryAfter = int.Parse(retryAfter ?? "0", CultureInfo.InvariantCulture) }, times: 2);
        for (var request = 0; request < 2; request++)
        {
            using var response = await _client.GetAsync(List + parameters);
            Assert.Equal(status, (int)response.StatusCode);
            Assert.Equal(retryAfter, response.Headers.RetryAfter?.ToString());
            Assert.Equal(recorded.Headers.First(header => header.Key == "Content-Type").Value, response.Content.Headers.ContentType!.ToString());
            Assert.Equal(recorded.Body, await response.Content.ReadAsByteArrayAsync());
        }
        using var again = await _client.GetAsync(List);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Lists_and_watches_fail_apart_until_they_are_cleared(int status)
    {
        _server.Inject(new() { On = Requests.Watches, Status = status });
        Assert.Equal(HttpStatusCode.OK, (await _client.GetAsync(List)).StatusCode);
        Assert.Equal(status, (int)(await _client.GetAsync(List + "&watch=1")).StatusCode);
        _server.Inject(new() { On = Requests.Lists, Status = status }, times: 1);
        Assert.Equal(status, (int)(await _client.GetAsync(List + "&watch=1")).StatusCode);
        Assert.Equal(status, (int)(await _client.GetAsync(List)).StatusCode);
        _server.ClearFaults();
        Assert.Equal(HttpStatusCode.OK, (await _client.GetAsync(List + "&watch=1&resourceVersion=1000")).StatusCode);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_breaks_in_the_middle_of_a_document(bool reset)
    {
        var how = reset ? Breaking.Reset : Breaking.Cut;
        var first = _cluster.Add(new("shop", "web-0"));
        _cluster.Add(new("shop", "web-1"));
        _server.Inject(new() { Break = how, AfterEvents = 1 }, times: 1);
        using var response = await _client.GetAsync(List + "&watch=1&resourceVersion=1000");
        var received = await ReadUntilItBreaksAsync(response);
        var lines = Encoding.UTF8.GetString(received).Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.InRange(lines[1].Length, first.ToJson().Length / 3, first.ToJson().Length);

        _server.Inject(new() { Break = how, AtByte = 7 }, times: 1);
        using var list = await _client.GetAsync(List);
        Assert.Equal("{\"kind\"", Encoding.UTF8.GetString(await ReadUntilItBreaksAsync(list)));
    }

    [Fact]
    public async Task An_open_watch_becomes_half_open()
    {
        using var response = await _client.GetAsync(List + "&watch=1&resourceVersion=1000");
        await using var stream = await response.Content.ReadAsStreamAsync();
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.HalfOpen, AtByte = 10 });
        AddPods(1);
        await stream.ReadExactlyAsync(new byte[10]);
        _server.ClearFaults();

        _cluster.Delete("shop", "web-000");
        var next = stream.ReadAsync(new byte[1]).AsTask();
        using var other = await WatchAsync(1000);
        Assert.Equal(["ADDED web-000", "DELETED web-000"], [await NextAsync(other), await NextAsync(other)]);
        Assert.False(next.IsCompleted);
        Assert.False(_server.Requests[0].Ended.IsCompleted);
        _server.KillConnections();
        await Assert.ThrowsAnyAsync<IOException>(() => next);
        await _server.Requests[0].Ended.WaitAsync(Silence.Limit);
    }

    [Fact]
    public async Task A_request_is_not_answered_at_all()
    {
        _server.Inject(new() { Break = Breaking.Unanswered }, times: 1);
        var answer = _client.GetAsync(List);
        await _server.WaitForRequestAsync(request => request.IsList);
        Assert.Equal(HttpStatusCode.OK, (await _client.GetAsync(List)).StatusCode);
        Assert.False(answer.IsCompleted);
        _server.KillConnections(reset: true);
        await Assert.ThrowsAsync<HttpRequestException>(() => answer);
    }

    [Fact]
    public async Task Events_are_split_at_every_byte_in_turn()
    {
        _cluster.Add(new("shop", "web") { Annotations = new Dictionary<string, string> { ["note"] = "äöü€" } });
        var length = Line(1000).Length;
        for (var change = 1; change < length; change++)
        {
            _cluster.Modify("shop", "web", pod => pod);
        }
        _server.Inject(new() { Split = true });

        await using var stream = await _client.ConnectAsync(List + "&watch=1&resourceVersion=1000");
        while ((await ReadLineAsync(stream)).Length > 0)
        {
        }
        var characters = new UTF8Encoding(false, throwOnInvalidBytes: true);
        var insideCharacters = 0;
        for (var number = 1; number < length; number++)
        {
            var (first, second) = (await ReadChunkAsync(stream), await ReadChunkAsync(stream));
            Assert.Equal(number, first.Length);
            Assert.Equal("web", JsonDocument.Parse(characters.GetString([.. first, .. second])).RootElement.GetProperty("object").GetProperty("metadata").GetProperty("name").GetString());
            insideCharacters += (second[0] & 0xC0) == 0x80 ? 1 : 0;
        }
        Assert.Equal("äöü€"u8.Length - 4, insideCharacters);
    }

    [Fact]
    public async Task Events_come_byte_by_byte()
    {
        AddPods(1);
        _server.Inject(new() { ByteByByte = true });
        await using var stream = await _client.ConnectAsync(List + "&watch=1&resourceVersion=1000");
        while ((await ReadLineAsync(stream)).Length > 0)
        {
        }
        foreach (var expected in Line(1000))
        {
            Assert.Equal([expected], await ReadChunkAsync(stream));
        }
    }

    [Fact]
    public async Task Events_come_twice_and_several_in_a_chunk()
    {
        AddPods(2);
        _server.Inject(new() { Twice = true, EventsPerChunk = 4 });
        await using var stream = await _client.ConnectAsync(List + "&watch=1&resourceVersion=1000");
        while ((await ReadLineAsync(stream)).Length > 0)
        {
        }
        var lines = Encoding.UTF8.GetString(await ReadChunkAsync(stream)).Split('\n');
        Assert.Equal(["ADDED web-000", "ADDED web-000", "ADDED web-001", "ADDED web-001"], lines[..4].Select(line => Describe(JsonDocument.Parse(line).RootElement)));
    }

    [Fact]
    public async Task Events_are_late_by_a_given_time()
    {
        _server.Inject(new() { On = Requests.Watches, Delay = TimeSpan.FromMilliseconds(50) });
        using var watch = await WatchAsync(1000);
        var began = Stopwatch.GetTimestamp();
        AddPods(1);
        Assert.Equal("ADDED web-000", await NextAsync(watch));
        Assert.True(Stopwatch.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(45));
    }

    [Theory]
    [InlineData(410)]
    [InlineData(500)]
    [InlineData(504)]
    public async Task A_watch_ends_with_an_error_event(int code)
    {
        AddPods(2);
        _server.Inject(new() { On = Requests.Watches, Break = Breaking.Error, ErrorCode = code, AfterEvents = 1 }, times: 1);
        using var watch = await WatchAsync(1000);
        Assert.Equal("ADDED web-000", await NextAsync(watch));
        var error = await NextEventAsync(watch);
        Assert.Equal("ERROR", error.GetProperty("type").GetString());
        Assert.Equal(code, error.GetProperty("object").GetProperty("code").GetInt32());
        Assert.Null(await watch.ReadLineAsync());

        _server.Inject(new() { Break = Breaking.Error, ErrorCode = code }, times: 1);
        using var atOnce = await WatchAsync(_cluster.Version);
        Assert.Equal("ERROR", (await NextEventAsync(atOnce)).GetProperty("type").GetString());
    }

    [Fact]
    public async Task An_outage_refuses_and_then_the_same_port_answers_again()
    {
        AddPods(1);
        using var watch = await WatchAsync(1000);
        Assert.Equal("ADDED web-000", await NextAsync(watch));

        await _server.StopAsync();
        await Assert.ThrowsAnyAsync<IOException>(() => watch.ReadLineAsync());
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => _client.GetAsync(List));
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(refused.InnerException).SocketErrorCode);
        Assert.Equal(0, _server.OpenConnections);

        var port = _server.Port;
        await _server.StartAsync();
        Assert.Equal(port, _server.Port);
        Assert.Equal(["web-000"], Names(await JsonAsync(List)));
    }

    [Fact]
    public async Task A_graceful_stop_refuses_connections_and_lets_watches_end()
    {
        using var watch = await WatchAsync(1000);
        var stopped = _server.StopAsync(gracefully: true);
        await Assert.ThrowsAsync<HttpRequestException>(() => _client.GetAsync(List));
        AddPods(1);
        Assert.Equal("ADDED web-000", await NextAsync(watch));
        Assert.False(stopped.IsCompleted);

        _cluster.EndWatches();
        Assert.Null(await watch.ReadLineAsync());
        await stopped.WaitAsync(Silence.Limit);
    }

    [Fact]
    public async Task No_other_authority_vouches_for_it()
    {
        await using var other = await ApiServer.CreateAsync();
        File.Copy(other.Files.Authority, _server.Files.Authority, overwrite: true);
        using var client = new ApiClient(_server);
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(List));
        Assert.Equal(HttpRequestError.SecureConnectionError, refused.HttpRequestError);
    }

    [Fact]
    public async Task Silent_connections_are_answered_when_the_silence_ends()
    {
        _server.IsSilent = true;
        var answer = _client.GetAsync(List);
        using var other = new TcpClient();
        await other.ConnectAsync("127.0.0.1", _server.Port);
        Assert.Empty(_server.Requests);
        Assert.False(answer.IsCompleted);
        _server.IsSilent = false;
        Assert.Equal(HttpStatusCode.OK, (await answer).StatusCode);
    }

    [Fact]
    public async Task A_rotated_token_is_refused_with_the_recorded_401()
    {
        using var watch = await WatchAsync(1000);
        _server.RotateToken("token-2");
        using var refused = await _client.GetAsync(List);
        Assert.Equal(Transcript.Read("10-auth/list-401-bad-token").Body, await refused.Content.ReadAsByteArrayAsync());
        AddPods(1);
        Assert.Equal("ADDED web-000", await NextAsync(watch));

        _client.Token = await File.ReadAllTextAsync(_server.Files.Token);
        Assert.Equal(HttpStatusCode.OK, (await _client.GetAsync(List)).StatusCode);
        Assert.Contains("token: token-2", await File.ReadAllTextAsync(_server.Files.Kubeconfig), StringComparison.Ordinal);
        _client.Token = null;
        using var anonymous = await _client.GetAsync(List);
        Assert.Equal(Transcript.Read("10-auth/list-403-no-token").Body, await anonymous.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Requests_are_recorded_in_their_order()
    {
        var watching = _server.WaitForRequestAsync(request => request.IsWatch);
        await JsonAsync(List + "&limit=500");
        using var watch = await WatchAsync(1000, "&allowWatchBookmarks=true");

        var request = await watching;
        Assert.Equal(2, request.Number);
        Assert.Equal(("GET", "/api/v1/pods", "spec.nodeName=worker-1", "1000", "token-1"), (request.Method, request.Path, request["fieldSelector"], request["resourceVersion"], request.Token));
        Assert.Equal([true, false], _server.Requests.Select(recorded => recorded.IsList));
        Assert.True(_server.Requests[0].At <= request.At);
        Assert.Same(request, await _server.WaitForRequestAsync(_ => true, after: 1));
        Assert.True(_server.Requests[0].Ended.IsCompleted);
        watch.Dispose();
        await request.Ended.WaitAsync(Silence.Limit);
    }

    [Fact]
    public async Task Its_files_are_those_of_a_pod_and_are_gone_with_it()
    {
        var files = _server.Files;
        Assert.Equal("podnet-system", await File.ReadAllTextAsync(Path.Combine(files.ServiceAccount, "namespace")));
        Assert.Contains($"server: https://127.0.0.1:{_server.Port}\n", await File.ReadAllTextAsync(files.Kubeconfig), StringComparison.Ordinal);
        Assert.Contains("tokenFile: serviceaccount/token\n", await File.ReadAllTextAsync(files.KubeconfigOfFiles), StringComparison.Ordinal);
        await _server.DisposeAsync();
        Assert.False(Directory.Exists(files.Root));
    }

    [Fact]
    public async Task Watches_of_a_churning_cluster_see_every_change_once()
    {
        const int Writers = 4;
        AddPods(300);
        var from = _cluster.Version;
        using var one = await WatchAsync(from);
        using var other = await WatchAsync(from);
        var writers = Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(() =>
        {
            for (var change = 0; change < 250; change++)
            {
                var name = Name((writer * 75) + (change % 75));
                if (change % 10 == 9)
                {
                    _cluster.Delete("shop", name);
                    _cluster.Add(new("shop", name));
                }
                else
                {
                    _cluster.SetStatus("shop", name, "Running", $"10.0.{writer}.{change}");
                }
            }
        })));
        foreach (var watch in new[] { one, other })
        {
            for (var version = from + 1; version <= from + (Writers * 275); version++)
            {
                Assert.Equal(version.ToString(CultureInfo.InvariantCulture), Version((await NextEventAsync(watch)).GetProperty("object")));
            }
        }
        await writers;
        Assert.Equal(300, _cluster.Pods.Count);
    }

    private static string Name(int number) => $"web-{number:D3}";

    // Empty ones are not sent, and HTTP/2 has no chunks and its names in lower case.
    private static IEnumerable<string> Comparable(IEnumerable<KeyValuePair<string, string>> headers) =>
        headers.Where(header => header.Value.Length > 0 && header.Key != "Transfer-Encoding")
            .Select(header => $"{header.Key.ToLowerInvariant()}: {header.Value}")
            .Order(StringComparer.Ordinal);

    private static string[] Names(JsonElement list) =>
        [.. list.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("metadata").GetProperty("name").GetString()!)];

    private static string? Version(JsonElement document) => document.GetProperty("metadata").GetProperty("resourceVersion").GetString();

    private static string? Continue(JsonElement document) =>
        document.GetProperty("metadata").TryGetProperty("continue", out var token) ? token.GetString() : null;

    private static string Describe(JsonElement watched) =>
        $"{watched.GetProperty("type").GetString()} {watched.GetProperty("object").GetProperty("metadata").GetProperty("name").GetString()}";

    private static async Task<JsonElement> NextEventAsync(StreamReader watch) =>
        JsonDocument.Parse(await watch.ReadLineAsync().WaitAsync(Silence.Limit) ?? throw new EndOfStreamException("The watch has ended.")).RootElement;

    private static async Task<string> NextAsync(StreamReader watch) => Describe(await NextEventAsync(watch));

    private static async Task<byte[]> ReadUntilItBreaksAsync(HttpResponseMessage response)
    {
        await using var stream = await response.Content.ReadAsStreamAsync();
        using var received = new MemoryStream();
        await Assert.ThrowsAnyAsync<IOException>(() => stream.CopyToAsync(received));
        return received.ToArray();
    }

    private static async Task<string> ReadLineAsync(Stream stream)
    {
        var line = new StringBuilder();
        var single = new byte[1];
        do
        {
            await stream.ReadExactlyAsync(single);
            line.Append((char)single[0]);
        }
        while (single[0] != '\n');
        return line.ToString().TrimEnd();
    }

    private static async Task<byte[]> ReadChunkAsync(Stream stream)
    {
        var chunk = new byte[int.Parse(await ReadLineAsync(stream), NumberStyles.HexNumber, CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(chunk);
        Assert.Empty(await ReadLineAsync(stream));
        return chunk;
    }

    private byte[] Line(long version)
    {
        using var watch = _cluster.Watch("worker-1", version, bookmarks: false);
        return watch.Events.TryRead(out var next) ? next.Line : [];
    }

    private void AddPods(int count)
    {
        for (var number = 0; number < count; number++)
        {
            _cluster.Add(new("shop", Name(number)));
        }
    }

    private async Task<byte[]> BytesAsync(string pathAndQuery)
    {
        using var response = await _client.GetAsync(pathAndQuery);
        return await response.Content.ReadAsByteArrayAsync();
    }

    private async Task<JsonElement> JsonAsync(string pathAndQuery) => JsonDocument.Parse(await BytesAsync(pathAndQuery)).RootElement;

    private async Task<StreamReader> WatchAsync(long version, string parameters = "")
    {
        var response = await _client.GetAsync($"{List}&watch=true&resourceVersion={version}{parameters}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return new(await response.Content.ReadAsStreamAsync());
    }

    /// <summary>Whoever waits for a time has it reached at once.</summary>
    private sealed class LeapingTime : TimeProvider
    {
        private readonly List<TimeSpan> _leaps = [];
        private TimeSpan _now;

        /// <summary>The times that were waited for.</summary>
        internal IReadOnlyList<TimeSpan> Leaps => _leaps;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now.Ticks;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _now += dueTime;
            _leaps.Add(_now);
            return System.CreateTimer(callback, state, TimeSpan.Zero, period);
        }
    }
}
