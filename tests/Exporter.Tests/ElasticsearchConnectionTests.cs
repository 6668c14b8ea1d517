using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

/// <summary>How the sink finds its servers, trusts them and shows who it is; and that nothing is sent without the template.</summary>
public sealed class ElasticsearchConnectionTests : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-elasticsearch-").FullName;
    private readonly RecordBatches _batches = new();
    private readonly RecordingLogger<ElasticsearchSink> _logger = new();
    private readonly FakeTimeProvider _time = new();
    private readonly SearchServer _server = new();
    private readonly List<IAsyncDisposable> _servers = [];
    private readonly List<ElasticsearchSink> _sinks = [];

    public async ValueTask DisposeAsync()
    {
        _sinks.ForEach(sink => sink.Dispose());
        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Without_the_template_nothing_is_sent_until_it_is_there()
    {
        _server.Other = request => request.Target.StartsWith("/_index_template", StringComparison.Ordinal) ? SearchAnswers.Of("no-template") : SearchServer.Healthy(request);
        var sink = Sink(_server.Url);
        var batch = _batches.Of(RecordBatches.Line("a"));

        Assert.Equal("the index template podnet-flow is not there; run 'podnet-exporter flows install --to=opensearch --url=...'", await FailAsync(sink, batch));
        Assert.Empty(_server.Bulks);

        _server.Other = SearchServer.Healthy;
        await WriteAsync(sink, batch);
        Assert.Single(_server.Bulks);
    }

    [Theory]
    [InlineData("""{"index_templates":[{"index_template":{"version":0}}]}""", 200, "the index template podnet-flow has version 0, and version 1 is needed")]
    [InlineData("""{"index_templates":[{"index_template":{}}]}""", 200, "the index template podnet-flow has version 0, and version 1 is needed")]
    [InlineData("""{"error":{"type":"security_exception","reason":"no permissions"},"status":403}""", 403, "(403 Forbidden: security_exception: no permissions); grant the sink's user manage_index_templates")]
    [InlineData("<html>", 200, "a text that is not JSON")]
    public async Task With_a_template_that_is_older_or_not_shown_nothing_is_sent(string body, int status, string reason)
    {
        _server.Other = request => request.Target.StartsWith("/_index_template", StringComparison.Ordinal) ? SearchAnswers.Json(body, status) : SearchServer.Healthy(request);

        Assert.Contains(reason, await FailAsync(Sink(_server.Url), _batches.Of(RecordBatches.Line("a"))), StringComparison.Ordinal);
        Assert.Empty(_server.Bulks);
    }

    [Fact]
    public async Task Where_the_index_may_not_be_made_nothing_is_sent_unless_it_is_there()
    {
        _server.Other = request => request.Target.StartsWith("/_cluster/settings", StringComparison.Ordinal) ? SearchAnswers.Of("auto-create-denied") : SearchServer.Healthy(request);
        var sink = Sink(_server.Url);
        var batch = _batches.Of(RecordBatches.Line("a"));
        Assert.Equal(
            "the index podnet-flow-2026.11.28 is not there and may not be made: action.auto_create_index is '-podnet-flow-*,+*'; add +podnet-flow-* at its beginning",
            await FailAsync(sink, batch));
        Assert.Empty(_server.Bulks);

        var denied = _server.Other;
        _server.Other = request => request is { Method: "HEAD", Target: "/podnet-flow-2026.11.28" } ? SearchAnswers.Text("", 200) : denied(request);
        await WriteAsync(sink, batch);
        Assert.Single(_server.Bulks);
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("false", false)]
    [InlineData("+podnet-flow-*,-*", true)]
    [InlineData("podnet-*", true)]
    [InlineData("-podnet-*,+*", false)]
    [InlineData("+logs-*", false)]
    public void The_first_pattern_of_auto_create_index_that_matches_decides(string setting, bool isAllowed) =>
        Assert.Equal(isAllowed, IndexCheck.IsAllowed(setting, "podnet-flow-2026.11.28"));

    [Fact]
    public async Task The_template_is_asked_for_once_for_each_day()
    {
        var sink = Sink(_server.Url);
        await WriteAsync(sink, _batches.Of(RecordBatches.Line("a")));
        await WriteAsync(sink, _batches.Of(RecordBatches.Line("b")));
        Assert.Single(_server.Requests, request => request.Target.StartsWith("/_index_template", StringComparison.Ordinal));

        await WriteAsync(sink, _batches.Of(RecordBatches.Line("c", "2026-11-29T00:00:00.000Z")));
        Assert.Equal(2, _server.Requests.Count(request => request.Target.StartsWith("/_index_template", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_user_of_Elasticsearch_without_rights_is_found_before_anything_is_sent()
    {
        File.WriteAllText(FileOf("key"), "abc==\n");
        _server.Other = request => request.Target switch
        {
            _ when request.Target.StartsWith("/?", StringComparison.Ordinal) => SearchAnswers.Json("""{"version":{}}"""),
            "/_security/user/_has_privileges" => SearchAnswers.Json("""{"has_all_requested":false,"index":{"podnet-flow-*":{"create_doc":true,"create_index":false,"auto_configure":false}}}"""),
            _ => SearchServer.Healthy(request),
        };

        Assert.Contains("grant its role the privileges create_doc and auto_configure", await FailAsync(Sink(Options(_server.Url) with { ApiKeyFile = FileOf("key") }), _batches.Of(RecordBatches.Line("a"))), StringComparison.Ordinal);
        Assert.All(_server.Requests, request => Assert.Equal("ApiKey abc==", request.Headers["Authorization"]));
        Assert.Empty(_server.Bulks);
    }

    [Fact]
    public async Task A_user_who_may_not_ask_for_the_kind_of_server_can_send()
    {
        File.WriteAllText(FileOf("key"), "abc==\n");
        var sink = Sink(Options(_server.Url) with { ApiKeyFile = FileOf("key") });
        var batch = _batches.Of(RecordBatches.Line("a"));
        _server.Other = request => SearchAnswers.Json("{}", request.Target.StartsWith("/_index_template", StringComparison.Ordinal) ? 404 : 403);
        Assert.Contains("flows install --to=elasticsearch|opensearch --url=...", await FailAsync(sink, batch), StringComparison.Ordinal);
        _server.Other = request => request.Target.StartsWith("/_index_template", StringComparison.Ordinal) ? SearchServer.Healthy(request) : SearchAnswers.Json("{}", 403);

        await WriteAsync(sink, batch);

        Assert.Single(_server.Bulks);
    }

    [Fact]
    public async Task Credentials_are_read_again_when_their_files_change_and_kept_while_these_are_unusable()
    {
        File.WriteAllText(FileOf("user"), "elastic\n");
        File.WriteAllText(FileOf("password"), "first word\n");
        var sink = Sink(Options(_server.Url) with { UserFile = FileOf("user"), PasswordFile = FileOf("password") });
        Assert.Equal("elastic:first word", await ShownAsync(sink));

        File.WriteAllText(FileOf("password"), "second");
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("elastic:second", await ShownAsync(sink));

        File.WriteAllText(FileOf("password"), "");
        for (var i = 0; i < 2; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal("elastic:second", await ShownAsync(sink));
        }
        Assert.Contains($"{FileOf("password")} (Elasticsearch:PasswordFile) is empty", Assert.Single(_logger.Entries).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credentials_that_cannot_be_read_are_named()
    {
        var sink = Sink(Options(_server.Url) with { ApiKeyFile = FileOf("none") });

        Assert.Contains($"the file of Elasticsearch:ApiKeyFile cannot be read: there is no file '{FileOf("none")}'", await FailAsync(sink, _batches.Of(RecordBatches.Line("a"))), StringComparison.Ordinal);
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task Servers_are_tried_in_turn_and_the_one_that_answers_is_kept()
    {
        var other = Serve();
        _server.Other = _ => SearchAnswers.Json("{}", 503);
        _server.Answer(null, null);
        var sink = Sink(_server.Url, new("http://127.0.0.1:1/"), other.Url);
        await WriteAsync(sink, _batches.Of(RecordBatches.Line("a")));
        await WriteAsync(sink, _batches.Of(RecordBatches.Line("b")));

        Assert.Equal(2, other.Bulks.Count);
        Assert.InRange(_server.Requests.Count, 0, 1);
    }

    [Fact]
    public async Task A_server_that_redirects_is_passed_over_for_one_that_answers()
    {
        var other = Serve();
        _server.Other = _ => SearchAnswers.Text("", 302, header: "location: https://login/\r\n");
        _server.Answer(Enumerable.Repeat(SearchAnswers.Text("<html>", 200), 9));
        var sink = Sink(_server.Url, other.Url);

        await WriteAsync(sink, _batches.Of(RecordBatches.Line("a")));

        Assert.Single(other.Bulks);
    }

    [Theory]
    [InlineData("", "an empty body")]
    [InlineData("{", "JSON that is cut off ('{')")]
    [InlineData("""{"version":{"distribution":"opensearch"}} and more""", "JSON that is cut off")]
    public async Task A_server_whose_answers_are_no_whole_JSON_is_not_one_and_nothing_is_sent(string body, string answer)
    {
        foreach (var part in (string[])["/?", "/_index_template", "/_cluster/settings"])
        {
            _server.Other = request => request.Target.StartsWith(part, StringComparison.Ordinal) ? SearchAnswers.Json(body) : SearchServer.Healthy(request);

            var failure = await FailAsync(Sink(_server.Url), _batches.Of(RecordBatches.Line("a")));
            Assert.StartsWith($"{_server.Url.GetLeftPart(UriPartial.Authority)} answers 200 with {answer}", failure, StringComparison.Ordinal);
            Assert.EndsWith("a proxy may stand before it; set Elasticsearch:Urls to an Elasticsearch or OpenSearch", failure, StringComparison.Ordinal);
        }
        Assert.Empty(_server.Bulks);
    }

    [Theory]
    [InlineData("/_index_template", """{"index_templates":[{"index_template":1}]}""", "has version 0")]
    [InlineData("/_index_template", """{"index_templates":[1]}""", "has version 0")]
    [InlineData("/_index_template", """{"index_templates":[{"index_template":{"version":"1"}}]}""", "has version 0")]
    [InlineData("/_index_template", """{"error":"\ud800"}""", "has version 0")]
    [InlineData("/?", """{"version":1}""", null)]
    [InlineData("/_cluster/settings", """{"transient":1,"defaults":{"action":{"auto_create_index":"\ud800"}}}""", "may not be made")]
    [InlineData("/_security", """{"index":1}""", null)]
    [InlineData("/_security", """{"index":{"podnet-flow-*":1}}""", "may not write")]
    public async Task JSON_of_another_form_is_an_answer_without_the_fact_that_was_asked_for(string part, string body, string? reason)
    {
        File.WriteAllText(FileOf("key"), "abc==\n");
        _server.Other = request => request.Target switch
        {
            _ when request.Target.StartsWith(part, StringComparison.Ordinal) => SearchAnswers.Json(body),
            _ when request.Target.StartsWith("/?", StringComparison.Ordinal) && part == "/_security" => SearchAnswers.Json("{}"),
            _ => SearchServer.Healthy(request),
        };
        var sink = Sink(Options(_server.Url) with { ApiKeyFile = FileOf("key") });
        var batch = _batches.Of(RecordBatches.Line("a"));

        if (reason is not null)
        {
            Assert.Contains(reason, await FailAsync(sink, batch), StringComparison.Ordinal);
            return;
        }
        await WriteAsync(sink, batch);
        Assert.Single(_server.Bulks);
    }

    [Fact]
    public async Task Where_no_server_answers_the_reason_of_each_is_said()
    {
        _server.Other = _ => null;
        var failure = await FailAsync(Sink(_server.Url, new("http://127.0.0.1:1/"), new("http://no.such.host.invalid:9200/")), _batches.Of(RecordBatches.Line("a")));

        Assert.Contains($"{_server.Url.GetLeftPart(UriPartial.Authority)} ended the connection in the middle of an answer", failure, StringComparison.Ordinal);
        Assert.Contains("http://127.0.0.1:1 refuses connections: no program listens there; start the server", failure, StringComparison.Ordinal);
        Assert.Contains("http://no.such.host.invalid:9200 has a name that is not known", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_with_a_certificate_of_the_authority_in_the_file_is_trusted_and_the_file_may_change()
    {
        using var certificates = new Certificates();
        using var others = new Certificates();
        var server = Serve(certificates.Server);
        var sink = Sink(Options(server.Url) with { CaFile = FileOf("ca") });
        var batch = _batches.Of(RecordBatches.Line("a"));

        Assert.Contains("the file of Elasticsearch:CaFile cannot be used", await FailAsync(sink, batch), StringComparison.Ordinal);
        File.WriteAllText(FileOf("ca"), others.Authority.ExportCertificatePem());
        Assert.Contains($"is not trusted by the authorities in {FileOf("ca")}", await FailAsync(sink, batch), StringComparison.Ordinal);
        File.WriteAllText(FileOf("ca"), certificates.Authority.ExportCertificatePem());
        await WriteAsync(sink, batch);

        Assert.Single(server.Bulks);
    }

    [Fact]
    public async Task A_server_whose_certificate_is_unknown_or_of_another_name_is_refused()
    {
        using var certificates = new Certificates();
        var server = Serve(certificates.Server);
        File.WriteAllText(FileOf("ca"), certificates.Authority.ExportCertificatePem());
        var batch = _batches.Of(RecordBatches.Line("a"));

        Assert.Contains("its certificate is not trusted by the machine's authorities", await FailAsync(Sink(server.Url), batch), StringComparison.Ordinal);
        var address = new UriBuilder(server.Url) { Host = "[::ffff:127.0.0.1]" }.Uri;
        Assert.Contains("its certificate is for kubernetes.default.svc, localhost, 127.0.0.1, not for the name in Elasticsearch:Urls", await FailAsync(Sink(Options(address) with { CaFile = FileOf("ca") }), batch), StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_server_that_never_answers_is_given_up_after_its_limit()
    {
        var isAsked = new TaskCompletionSource();
        using var end = new ManualResetEventSlim();
        _server.Other = _ =>
        {
            isAsked.TrySetResult();
            end.Wait(TestContext.Current.CancellationToken);
            return null;
        };
        var write = FailAsync(Sink(_server.Url), _batches.Of(RecordBatches.Line("a")));
        await isAsked.Task;
        _time.Advance(ServerConnection.Limit);

        Assert.EndsWith("has not answered within 100 s", await write, StringComparison.Ordinal);
        end.Set();
    }

    private static ElasticsearchOptions Options(params IReadOnlyList<Uri> urls) => new(urls, "podnet-flow", "", "", "", "");

    private string FileOf(string name) => Path.Combine(_directory, name);

    private SearchServer Serve(X509Certificate2? certificate = null)
    {
        var server = new SearchServer(certificate);
        _servers.Add(server);
        return server;
    }

    private ElasticsearchSink Sink(params IReadOnlyList<Uri> urls) => Sink(Options(urls));

    private ElasticsearchSink Sink(ElasticsearchOptions options)
    {
        var sink = new ElasticsearchSink(options, new(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry())), _time, _logger);
        _sinks.Add(sink);
        return sink;
    }

    /// <summary>The credentials of the next bulk.</summary>
    private async Task<string> ShownAsync(ElasticsearchSink sink)
    {
        await WriteAsync(sink, _batches.Of(RecordBatches.Line("a")));
        return Encoding.UTF8.GetString(Convert.FromBase64String(_server.Bulks[^1].Headers["Authorization"]["Basic ".Length..]));
    }

    private static async Task WriteAsync(ElasticsearchSink sink, RecordBatch batch) => await sink.WriteAsync(batch, TestContext.Current.CancellationToken);

    private static async Task<string> FailAsync(ElasticsearchSink sink, RecordBatch batch) => (await Assert.ThrowsAsync<SinkException>(async () => await WriteAsync(sink, batch))).Message;
}
