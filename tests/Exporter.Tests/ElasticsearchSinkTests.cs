using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Tests.Support;
using Prometheus;

namespace Exporter.Tests;

/// <summary>The answers of a server to bulks, kind by kind; those with a name are recorded from OpenSearch.</summary>
public sealed class ElasticsearchSinkTests : IAsyncDisposable
{
    private readonly SearchServer _server = new();
    private readonly RecordBatches _batches = new();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly RecordingLogger<ElasticsearchSink> _logger = new();
    private readonly ElasticsearchSink _sink;

    public ElasticsearchSinkTests() => _sink = new(new([_server.Url], "podnet-flow", "", "", "", ""), new(Prometheus.Metrics.WithCustomRegistry(_registry)), new HastyClock(), _logger);

    public async ValueTask DisposeAsync()
    {
        _sink.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_record_is_created_under_its_id_in_the_index_of_its_own_day_in_UTC()
    {
        string[] lines = [RecordBatches.Line("a"), RecordBatches.Line("b", "2026-11-29T00:00:00.000Z"), RecordBatches.Line("c", "2026-11-29T00:30:00.000+01:00")];
        await WriteAsync(_batches.Of(lines));

        var bulk = Assert.Single(_server.Bulks);
        Assert.Equal(
            [
                """{"create":{"_index":"podnet-flow-2026.11.28","_id":"a"}}""", lines[0],
                """{"create":{"_index":"podnet-flow-2026.11.29","_id":"b"}}""", lines[1],
                """{"create":{"_index":"podnet-flow-2026.11.28","_id":"c"}}""", lines[2],
            ],
            bulk.Lines);
        Assert.Equal("POST /_bulk?filter_path=errors,error,items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason", $"{bulk.Method} {bulk.Target}");
        Assert.Equal(("application/x-ndjson", "gzip"), (bulk.Headers["Content-Type"], bulk.Headers["Content-Encoding"]));
        Assert.False(bulk.Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Records_of_every_kind_are_sent_but_for_identities_which_are_acknowledged()
    {
        var batch = _batches.Of([(RecordBatches.Line("a"), LineKind.Identity), (RecordBatches.Line("b"), LineKind.Rest), (RecordBatches.Line("c"), LineKind.Flow)]);
        await WriteAsync(batch);
        Assert.Equal(["b", "c"], Assert.Single(_server.Bulks).Ids);
        Assert.Equal(0, batch.Rejected);

        await WriteAsync(_batches.Of([(RecordBatches.Line("d"), LineKind.Identity)]));
        Assert.Single(_server.Bulks);
    }

    [Fact]
    public async Task A_bulk_has_at_most_5000_records_and_4_MiB()
    {
        await WriteAsync(_batches.Of(Enumerable.Range(0, 12_000).Select(i => RecordBatches.Line($"{i}"))));
        Assert.Equal([5000, 5000, 2000], _server.Bulks.Select(bulk => bulk.Ids.Length));

        await WriteAsync(_batches.Of(Enumerable.Range(0, 100).Select(i => RecordBatches.Line($"x{i}", padding: 100_000))));
        var large = _server.Bulks.Skip(3).ToList();
        Assert.Equal(100, large.Sum(bulk => bulk.Ids.Length));
        Assert.Equal(3, large.Count);
        Assert.All(large, bulk => Assert.InRange(bulk.Lines.Sum(line => line.Length + 1), 1, 4 << 20));
    }

    [Theory]
    [InlineData("created")]
    [InlineData("repeated")]
    public async Task Records_that_are_created_or_are_there_already_are_done(string answer)
    {
        _server.Answer(SearchAnswers.Of(answer));
        var batch = await WriteAsync(_batches.Of(Lines("a", "b")));

        Assert.Single(_server.Bulks);
        Assert.Equal((0, 0), (batch.Rejected, batch.Resent));
    }

    [Fact]
    public async Task Records_that_the_server_is_too_busy_for_are_sent_again_alone()
    {
        _server.Answer(SearchAnswers.Items(201, 429, 409, 503), SearchAnswers.Items(201, 500));
        var batch = await WriteAsync(_batches.Of(Lines("a", "b", "c", "d")));

        Assert.Equal([["a", "b", "c", "d"], ["b", "d"], ["d"]], _server.Bulks.Select(bulk => bulk.Ids));
        Assert.Equal((0, 3), (batch.Rejected, batch.Resent));
        Assert.Empty(_logger.Entries);
    }

    [Fact]
    public async Task Records_for_which_a_queue_of_OpenSearch_is_full_are_sent_again_alone()
    {
        string[] ids = [.. Enumerable.Range(0, 12).Select(i => $"{i}")];
        _server.Answer(SearchAnswers.Of("busy-items"));
        await WriteAsync(_batches.Of(Lines(ids)));

        Assert.Equal(2, _server.Bulks.Count);
        Assert.InRange(_server.Bulks[1].Ids.Length, 1, 11);
        Assert.DoesNotContain("0", _server.Bulks[1].Ids);
    }

    [Theory]
    [InlineData("shard-away", "503 unavailable_shards_exception: [podnet-flow-2026.11.30][0] primary shard is not active Timeout: [1s]")]
    [InlineData("flood-stage", "make room on the servers' disks")]
    public async Task A_server_that_stays_busy_makes_the_sink_fail_until_it_is_not(string answer, string reason)
    {
        _server.Answer(Enumerable.Repeat(SearchAnswers.Of(answer), 20));
        var batch = _batches.Of(Lines("a"));

        var failure = await FailAsync(batch);

        Assert.Contains(reason, failure, StringComparison.Ordinal);
        Assert.Equal(3, _server.Bulks.Count);
        Assert.Equal(0, batch.Rejected);
    }

    [Fact]
    public async Task Records_that_the_answer_has_no_items_for_are_sent_again()
    {
        _server.Answer(SearchAnswers.Items(201, 201), SearchAnswers.Json("""{"errors":false,"items":[]}"""));
        await WriteAsync(_batches.Of(Lines("a", "b", "c")));

        Assert.Equal([["a", "b", "c"], ["c"], ["c"]], _server.Bulks.Select(bulk => bulk.Ids));
    }

    [Fact]
    public async Task After_a_connection_that_is_cut_all_records_without_an_answer_are_sent_again()
    {
        _server.Answer(SearchAnswers.Items(201, 429, 201), null, SearchAnswers.Of("created")[..^20]);
        var batch = _batches.Of(Lines("a", "b", "c"));

        Assert.Contains("ended the connection in the middle of an answer", await FailAsync(batch), StringComparison.Ordinal);
        Assert.Contains("ended the connection in the middle of an answer", await FailAsync(batch), StringComparison.Ordinal);
        await WriteAsync(batch);

        Assert.Equal([["a", "b", "c"], ["b"], ["b"], ["b"]], _server.Bulks.Select(bulk => bulk.Ids));
    }

    [Theory]
    [InlineData("whole-413", 1)]
    [InlineData("whole-400", 1)]
    [InlineData("cut-gzip", 1)]
    [InlineData("whole-429", 2)]
    public async Task A_bulk_that_is_refused_as_a_whole_is_halved(string answer, int times)
    {
        string[] ids = ["a", "b", "c", "d"];
        _server.Answer(Enumerable.Repeat(SearchAnswers.Of(answer), times));
        var batch = await WriteAsync(_batches.Of(Lines(ids)));

        Assert.Equal([.. Enumerable.Repeat(ids, times), ["a", "b"], ["c", "d"]], _server.Bulks.Select(bulk => bulk.Ids));
        Assert.Equal(0, batch.Rejected);
        await WriteAsync(_batches.Of(Lines("e", "f", "g")));
        Assert.Equal(["e", "f"], _server.Bulks[times + 2].Ids);
    }

    [Fact]
    public async Task A_halved_bulk_grows_again_after_many_that_are_taken()
    {
        _server.Answer(SearchAnswers.Of("whole-413"));
        await WriteAsync(_batches.Of(Lines("aaa", "bbb", "ccc", "ddd")));
        await WriteAsync(_batches.Of(Lines([.. Enumerable.Range(100, 600).Select(i => $"{i}")])));

        Assert.Equal(2, _server.Bulks[3].Ids.Length);
        Assert.Equal(4, _server.Bulks[^2].Ids.Length);
    }

    [Theory]
    [InlineData("whole-413", "too_large", 1)]
    [InlineData("whole-400", "bad_request", 2)]
    public async Task A_single_record_that_is_refused_as_a_whole_is_rejected(string answer, string type, int times)
    {
        _server.Answer(Enumerable.Repeat(SearchAnswers.Of(answer), times + 1));
        var batch = await WriteAsync(_batches.Of(Lines("a", "b")));

        Assert.Equal(1, batch.Rejected);
        Assert.Equal(["b"], _server.Bulks[^1].Ids);
        Assert.Equal(1, await RejectedAsync(type));
    }

    [Fact]
    public async Task A_record_that_the_mapping_refuses_is_rejected_counted_and_the_first_of_its_type_logged()
    {
        _server.Answer(SearchAnswers.Of("refused-field"), SearchAnswers.Of("refused-field"));
        var batch = await WriteAsync(_batches.Of(Lines("c", "d")));
        Assert.Equal((1, 0), (batch.Rejected, batch.Resent));
        Assert.Equal(1, (await WriteAsync(_batches.Of(Lines("e", "f")))).Rejected);

        Assert.Equal(2, _server.Bulks.Count);
        Assert.Equal(2, await RejectedAsync("mapper_parsing_exception"));
        Assert.Contains("mapper_parsing_exception: failed to parse field [source.bytes] of type [long]", Assert.Single(_logger.Entries).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_record_without_id_or_time_is_rejected_and_holds_up_no_other()
    {
        var batch = await WriteAsync(_batches.Of("{}", """{"@timestamp":"2026-11-28T10:05:10.137Z"}""", RecordBatches.Line("a"), RecordBatches.Line("b", "now"), RecordBatches.Line(new string('i', 513)), "no json"));

        Assert.Equal(5, batch.Rejected);
        Assert.Equal(["a"], Assert.Single(_server.Bulks).Ids);
        Assert.Equal(5, await RejectedAsync("no_event_id_or_timestamp"));
    }

    [Theory]
    [InlineData("write-block", "the index podnet-flow-2026.11.28 is blocked (403 cluster_block_exception: index [podnet-flow-2026.11.28] blocked by: [FORBIDDEN/8/index write (api)])")]
    [InlineData("closed", "the index podnet-flow-2026.11.28 is closed; open it (POST podnet-flow-2026.11.28/_open)")]
    [InlineData("index-not-made", "allow podnet-flow-2026.11.28 in action.auto_create_index")]
    [InlineData("too-many-shards", "raise cluster.max_shards_per_node")]
    [InlineData("not-acceptable", "does not take such requests (406 NotAcceptable: Content-Type header [text/plain] is not supported)")]
    public async Task An_index_that_is_in_the_way_loses_nothing_and_the_reason_is_said(string answer, string reason)
    {
        _server.Answer(SearchAnswers.Of(answer));
        var batch = _batches.Of(Lines("a"));

        Assert.Contains(reason, await FailAsync(batch), StringComparison.Ordinal);
        Assert.Equal(0, batch.Rejected);
        Assert.Single(_server.Bulks);

        await WriteAsync(batch);
        Assert.Equal(["a"], _server.Bulks[1].Ids);
        Assert.Equal(0, batch.Rejected);
    }

    [Theory]
    [InlineData("invalid_alias_name_exception", "Invalid alias name [podnet-flow]: an index or data stream exists with the same name as the alias", "an index has the name of its alias")]
    [InlineData("invalid_index_name_exception", "Invalid index name [podnet-flow-2026.11.28], already exists as alias", "set Elasticsearch:Index to another name")]
    [InlineData("illegal_argument_exception", "pipeline with id [enrich] does not exist", "make the pipeline, or remove it (PUT podnet-flow-2026.11.28/_settings")]
    [InlineData("illegal_argument_exception", "Number of documents in shard [0] exceeds the limit of [2147483519] documents per shard", "give the index template more shards")]
    [InlineData("illegal_argument_exception", "number of documents in the index cannot exceed 2147483519", "give the index template more shards")]
    [InlineData("validation_exception", "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;", "raise cluster.max_shards_per_node")]
    [InlineData("illegal_argument_exception", "unknown setting [index.x]", "correct the index template")]
    public async Task An_error_of_status_400_that_is_the_index_s_keeps_the_records_beside_others(string type, string reason, string remedy)
    {
        _server.Answer(SearchAnswers.Errors(null, (type, reason)));
        var batch = _batches.Of(Lines("a", "b"));

        var failure = await FailAsync(batch);
        Assert.Contains($"400 {type}: {reason.TrimEnd(';')}", failure, StringComparison.Ordinal);
        Assert.Contains(remedy, failure, StringComparison.Ordinal);
        await WriteAsync(batch);

        Assert.Equal([["a", "b"], ["b"]], _server.Bulks.Select(bulk => bulk.Ids));
        Assert.Equal(0, batch.Rejected);
    }

    [Fact]
    public async Task An_error_that_may_be_the_index_s_keeps_the_records_where_none_is_taken()
    {
        string[] ids = [.. Enumerable.Range(0, 8).Select(i => $"{i}")];
        var error = Enumerable.Repeat<(string, string)?>(("some_exception", "for some reason"), 8);
        _server.Answer(SearchAnswers.Errors(error), SearchAnswers.Errors(error));
        var batch = _batches.Of(Lines(ids));

        for (var i = 0; i < 2; i++)
        {
            Assert.Equal("the index podnet-flow-2026.11.28 takes no records (400 some_exception: for some reason); correct its settings, its mapping or its pipeline, or the index template", await FailAsync(batch));
        }
        await WriteAsync(batch);

        Assert.Equal(0, batch.Rejected);
        Assert.Equal(ids, _server.Bulks[^1].Ids.Order());
        Assert.Empty(_logger.Entries);
    }

    [Theory]
    [InlineData("some_exception", "for some reason")]
    [InlineData("illegal_argument_exception", "Document contains at least one immense term in field=\"source.x\"")]
    [InlineData("illegal_argument_exception", "Limit of total fields [1000] has been exceeded")]
    [InlineData("document_parsing_exception", "[1:2] failed to parse")]
    public async Task An_error_that_may_be_the_index_s_rejects_the_record_where_others_are_taken_or_there_is_no_other(string type, string reason)
    {
        _server.Answer(SearchAnswers.Errors((type, reason), null), SearchAnswers.Errors([(type, reason)]));

        Assert.Equal(1, (await WriteAsync(_batches.Of(Lines("a", "b")))).Rejected);
        Assert.Equal(1, (await WriteAsync(_batches.Of(Lines("c")))).Rejected);
        Assert.Equal(2, _server.Bulks.Count);
    }

    [Theory]
    [InlineData("mapper_parsing_exception")]
    [InlineData("document_parsing_exception")]
    [InlineData("strict_dynamic_mapping_exception")]
    public async Task Records_that_the_mapping_refuses_are_rejected_be_they_all(string type)
    {
        _server.Answer(SearchAnswers.Errors(Enumerable.Repeat<(string, string)?>((type, "failed to parse field [x]"), 20)));

        Assert.Equal(20, (await WriteAsync(_batches.Of(Lines([.. Enumerable.Range(0, 20).Select(i => $"{i}")])))).Rejected);
        Assert.Equal(20, await RejectedAsync(type));
    }

    [Theory]
    [InlineData("whole-400", "refuses each bulk, also with a single record (400 BadRequest: ", "correct the server, or the proxy before it")]
    [InlineData("whole-413", "refuses each bulk, also with a single record (413 RequestEntityTooLarge); ", "raise the size of a request that it takes")]
    public async Task A_server_that_refuses_each_bulk_gets_the_same_records_when_it_does_so_no_longer(string answer, string reason, string remedy)
    {
        string[] ids = [.. Enumerable.Range(0, 20).Select(i => $"{i}")];
        var batch = _batches.Of(Lines(ids));
        for (var i = 0; i < 30; i++)
        {
            _server.Answer(Enumerable.Repeat(SearchAnswers.Of(answer), 11));
            var failure = await FailAsync(batch);
            Assert.Contains(reason, failure, StringComparison.Ordinal);
            Assert.Contains(remedy, failure, StringComparison.Ordinal);
            _server.Forget();
        }
        var before = _server.Bulks.Count;
        await WriteAsync(batch);

        Assert.Equal(0, batch.Rejected);
        Assert.Equal(ids.Order(), _server.Bulks.Skip(before).SelectMany(bulk => bulk.Ids).Order());
        Assert.Empty(_logger.Entries);
    }

    [Fact]
    public async Task A_server_that_refuses_each_bulk_costs_few_records_of_batches_of_one()
    {
        _server.Answer(Enumerable.Repeat(SearchAnswers.Json("""{"error":"no"}""", 400), 1000));
        var (rejected, isKept) = (0, false);
        RecordBatch batch;
        do
        {
            batch = _batches.Of(Lines($"{rejected}"));
            try
            {
                rejected += (await WriteAsync(batch)).Rejected;
            }
            catch (SinkException)
            {
                isKept = true;
            }
        }
        while (!isKept && rejected < 10);

        Assert.InRange(rejected, 1, 5);
        await FailAsync(batch);
        _server.Forget();
        Assert.Equal(0, (await WriteAsync(batch)).Rejected);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(12)]
    public async Task Records_that_are_refused_alone_hold_up_others_but_for_an_attempt(int bad)
    {
        _server.Bulk = request => request.Ids.Any(id => id.StartsWith("bad", StringComparison.Ordinal)) ? SearchAnswers.Of("whole-413") : null;
        var batch = _batches.Of(Lines([.. Enumerable.Range(0, bad).Select(i => $"bad{i}"), .. Enumerable.Range(0, 20).Select(i => $"good{i}")]));
        var attempts = 0;
        while (_server.Bulks.Where(bulk => bulk.Ids is [['g', ..], ..]).SelectMany(bulk => bulk.Ids).Distinct().Count() < 20)
        {
            Assert.InRange(attempts++, 0, bad);
            try
            {
                await WriteAsync(batch);
            }
            catch (SinkException)
            {
                // The next attempt begins behind the records that were refused.
            }
        }
    }

    [Fact]
    public async Task A_server_that_takes_no_index_by_name_is_known_by_its_reason_and_nothing_is_halved()
    {
        _server.Answer(SearchAnswers.Json("""{"error":{"root_cause":[],"type":"illegal_argument_exception","reason":"explicit index in bulk is not allowed"},"status":400}""", 400));
        var batch = _batches.Of(Lines("a", "b"));

        Assert.Contains("set rest.action.multi.allow_explicit_index to true", await FailAsync(batch), StringComparison.Ordinal);
        await WriteAsync(batch);
        Assert.Equal([["a", "b"], ["a", "b"]], _server.Bulks.Select(bulk => bulk.Ids));
    }

    [Fact]
    public async Task Records_beside_one_whose_index_is_blocked_are_settled()
    {
        _server.Answer(SearchAnswers.Items(201, 403, 400, 409));
        var batch = _batches.Of(Lines("a", "b", "c", "d"));

        await FailAsync(batch);
        batch.Restart();
        await WriteAsync(batch);

        Assert.Equal([["a", "b", "c", "d"], ["b"]], _server.Bulks.Select(bulk => bulk.Ids));
        Assert.Equal((1, 1), (batch.Rejected, batch.CountedRejected));
    }

    [Theory]
    [InlineData(401, "wants credentials (401 Unauthorized); set Elasticsearch:UserFile and Elasticsearch:PasswordFile, or Elasticsearch:ApiKeyFile")]
    [InlineData(403, "forbids the request (403 Forbidden); grant its user the rights to write to podnet-flow-*")]
    [InlineData(404, "answers 404 NotFound to a bulk")]
    [InlineData(503, "answers 503 ServiceUnavailable")]
    public async Task A_whole_bulk_that_is_refused_for_another_reason_is_kept(int status, string reason)
    {
        _server.Answer(SearchAnswers.Json("{}", status));
        var batch = _batches.Of(Lines("a"));

        Assert.Contains(reason, await FailAsync(batch), StringComparison.Ordinal);
        await WriteAsync(batch);
        Assert.Equal(0, batch.Rejected);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(400)]
    [InlineData(404)]
    public async Task A_page_of_a_proxy_is_not_an_answer(int status)
    {
        _server.Answer(SearchAnswers.Text("<html>\r\n<h1>Welcome to the proxy</h1></html>", status));
        var batch = _batches.Of(Lines("a"));

        Assert.Equal(
            FormattableString.Invariant($"{_server.Url.GetLeftPart(UriPartial.Authority)} answers {status} with a text that is not JSON ('<html> <h1>Welcome to the proxy</h1></html>'): a proxy may stand before it; set Elasticsearch:Urls to an Elasticsearch or OpenSearch"),
            await FailAsync(batch));
        await WriteAsync(batch);
        Assert.Equal(0, batch.Rejected);
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        _server.Answer(SearchAnswers.Text("", 307, header: "location: https://elsewhere/_bulk\r\n"));

        Assert.Contains("redirects to https://elsewhere/_bulk, which is not followed", await FailAsync(_batches.Of(Lines("a"))), StringComparison.Ordinal);
    }

    private static string[] Lines(params string[] ids) => [.. ids.Select(id => RecordBatches.Line(id))];

    private async Task<RecordBatch> WriteAsync(RecordBatch batch)
    {
        await _sink.WriteAsync(batch, TestContext.Current.CancellationToken);
        return batch;
    }

    private async Task<string> FailAsync(RecordBatch batch) => (await Assert.ThrowsAsync<SinkException>(async () => await WriteAsync(batch))).Message;

    private async Task<double> RejectedAsync(string type) =>
        (await ScrapedText.OfAsync(_registry))[$"podnet_exporter_elasticsearch_rejected_records_total{{type=\"{type}\"}}"];
}
