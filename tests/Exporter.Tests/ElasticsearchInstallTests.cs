using System.Text;
using System.Text.Json.Nodes;
using Exporter.Commands;
using Exporter.Export.Elasticsearch;
using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Templates, lifecycles and schemas, which are made of the definitions of fields, and the commands that print and put them.</summary>
public sealed class ElasticsearchInstallTests : IAsyncDisposable
{
    private readonly SearchServer _server = new();
    private readonly StringWriter _output = new();
    private readonly StringWriter _errors = new();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("event.id", """{"type":"keyword","index":false,"doc_values":false}""")]
    [InlineData("@timestamp", """{"type":"date"}""")]
    [InlineData("source.ip", """{"type":"ip"}""")]
    [InlineData("flow.examples.hosts", """{"type":"ip"}""")]
    [InlineData("source.bytes", """{"type":"long"}""")]
    [InlineData("sampling.probability", """{"type":"double"}""")]
    [InlineData("destination.k8s.service.name", """{"type":"keyword","ignore_above":1024}""")]
    public void A_field_has_the_type_of_its_definition(string path, string mapping) => Assert.Equal(mapping, MappingOf(Template(), path)!.ToJsonString());

    [Fact]
    public void Every_field_of_the_records_that_are_sent_is_mapped_and_others_are_not_indexed()
    {
        var template = Template();

        Assert.All(RecordFields.All, field => Assert.Equal(field.Datasets is [RecordDataset.Identity], MappingOf(template, field.Path) is null));
        Assert.False(template["template"]!["mappings"]!["dynamic"]!.GetValue<bool>());
        Assert.Equal("best_compression", template["template"]!["settings"]!["index"]!["codec"]!.GetValue<string>());
        Assert.NotNull(template["template"]!["aliases"]!["podnet-flow"]);
    }

    [Fact]
    public void Only_Elasticsearch_has_a_lifecycle_in_its_template()
    {
        Assert.Equal("podnet-flow", Template(isOpenSearch: false)["template"]!["settings"]!["index"]!["lifecycle"]!["name"]!.GetValue<string>());
        Assert.Null(Template(isOpenSearch: true)["template"]!["settings"]!["index"]!["lifecycle"]);
        Assert.Null(Template(isOpenSearch: true)["allow_auto_create"]);
    }

    [Theory]
    [InlineData("opensearch", "_plugins/_ism/policies/", "min_index_age")]
    [InlineData("elasticsearch", "_ilm/policy/", "min_age")]
    public async Task A_dry_run_prints_each_request_and_sends_none(string kind, string policies, string age)
    {
        Assert.Equal(0, await RunAsync($"--to={kind}", $"--url={_server.Url}", "--dry-run", "--keep=30"));

        var text = _output.ToString();
        Assert.All(
            (string[])["podnet-flow", "podnet-detection", "podnet-matrix"],
            name => Assert.All((string[])[$"PUT {policies}{name}\n", $"PUT _index_template/{name}\n"], line => Assert.Contains(line, text, StringComparison.Ordinal)));
        Assert.Contains($"\"{age}\": \"30d\"", text, StringComparison.Ordinal);
        Assert.All(text.Split("PUT ", StringSplitOptions.RemoveEmptyEntries), part => JsonNode.Parse(part[part.IndexOf('\n', StringComparison.Ordinal)..]));
        Assert.Empty(_server.Requests);
    }

    [Theory]
    [InlineData("podnet")]
    [InlineData("podnet-flow")]
    [InlineData("podnet-detection-flows")]
    public void Patterns_that_overlap_have_other_priorities_and_the_longer_one_is_used(string index)
    {
        foreach (var isOpenSearch in (bool[])[true, false])
        {
            // Beside another installation.
            var steps = InstallStep.Plan(index, isOpenSearch, days: 14).Concat(InstallStep.Plan($"{index}-staging", isOpenSearch, days: 14)).DistinctBy(step => step.Path);
            var patterns = steps.SelectMany(PatternsOf).ToList();
            var overlapping = patterns.SelectMany(one => patterns.Where(other => other != one && other.Kind == one.Kind && other.Pattern.StartsWith(one.Pattern.TrimEnd('*'), StringComparison.Ordinal)).Select(other => (one, other))).ToList();

            Assert.NotEmpty(overlapping);
            Assert.All(overlapping, pair => Assert.InRange(pair.one.Priority, 101, pair.other.Priority - 1));
        }

        static IEnumerable<(string Kind, string Pattern, int Priority)> PatternsOf(InstallStep step)
        {
            var body = JsonNode.Parse(step.Body)!;
            return step.Template is not null
                ? [("template", body["index_patterns"]![0]!.GetValue<string>(), body["priority"]!.GetValue<int>())]
                : body["policy"]!["ism_template"]?.AsArray().Select(policy => ("policy", policy!["index_patterns"]![0]!.GetValue<string>(), policy["priority"]!.GetValue<int>())) ?? [];
        }
    }

    [Fact]
    public async Task A_second_run_changes_nothing()
    {
        var there = new Dictionary<string, JsonNode>();
        _server.Other = request => request switch
        {
            { Method: "PUT" } => Put(request),
            { Method: "GET" } when there.TryGetValue(request.Target.Split('?')[0], out var body) =>
                SearchAnswers.Json(new JsonObject { ["index_templates"] = new JsonArray(new JsonObject { ["index_template"] = body.DeepClone() }) }.ToJsonString()),
            { Method: "GET", Target: ['/', '_', ..] } => SearchAnswers.Json("{}", 404),
            _ => SearchServer.Healthy(request),
        };

        Assert.Equal(0, await RunAsync("--to=opensearch", $"--url={_server.Url}"));
        Assert.Equal(0, await RunAsync("--to=opensearch", $"--url={_server.Url}"));

        Assert.Equal(6, _server.Requests.Count(request => request.Method == "PUT"));
        Assert.Contains("index template podnet-flow: put\n", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("index template podnet-flow: is there with version 1, unchanged\n", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("lifecycle podnet-flow: is there, unchanged", _output.ToString(), StringComparison.Ordinal);

        byte[] Put(SearchRequest request)
        {
            there[request.Target] = JsonNode.Parse(Encoding.UTF8.GetString(request.Body))!;
            return SearchAnswers.Json("""{"acknowledged":true}""");
        }
    }

    [Fact]
    public async Task A_server_of_another_kind_or_without_lifecycles_is_named()
    {
        Assert.Equal(1, await RunAsync("--to=elasticsearch", $"--url={_server.Url}"));
        Assert.Contains("the server is OpenSearch; write --to=opensearch", _errors.ToString(), StringComparison.Ordinal);

        _server.Other = request => request.Target.StartsWith("/_plugins", StringComparison.Ordinal) ? SearchAnswers.Of("no-lifecycle") : SearchServer.Healthy(request);
        Assert.Equal(1, await RunAsync("--to=opensearch", $"--url={_server.Url}"));
        Assert.Contains("give --no-lifecycle and delete old indices by another program", _errors.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(_server.Requests, request => request.Method == "PUT");
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"version\":")]
    public async Task A_server_without_whole_JSON_ends_the_command_with_an_error(string body)
    {
        foreach (var method in (string[])["GET", "PUT"])
        {
            _errors.GetStringBuilder().Clear();
            _server.Other = request => request.Method == method ? SearchAnswers.Json(body)
                : request.Target.StartsWith("/_", StringComparison.Ordinal) ? SearchAnswers.Json("{}", 404)
                : SearchServer.Healthy(request);

            Assert.Equal(1, await RunAsync("--to=opensearch", $"--url={_server.Url}"));
            Assert.Contains("answers 200 with ", Assert.Single(_errors.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(403, "does not show its kind (403 Forbidden: security_exception: no permissions for [cluster:monitor/main]); grant the user the right cluster:monitor/main (OpenSearch) or the cluster privilege monitor (Elasticsearch)")]
    [InlineData(404, "does not show its kind (404 NotFound: security_exception: no permissions for [cluster:monitor/main]); give the address of an Elasticsearch or OpenSearch")]
    public async Task A_server_that_does_not_show_its_kind_is_not_taken_for_another_kind(int status, string reason)
    {
        _server.Other = _ => SearchAnswers.Json("""{"error":{"type":"security_exception","reason":"no permissions for [cluster:monitor/main]"}}""", status);

        foreach (var kind in (string[])["opensearch", "elasticsearch"])
        {
            _errors.GetStringBuilder().Clear();
            Assert.Equal(1, await RunAsync($"--to={kind}", $"--url={_server.Url}"));
            Assert.Equal($"{_server.Url.GetLeftPart(UriPartial.Authority)} {reason}\n", _errors.ToString());
        }
    }

    [Fact]
    public async Task All_wrong_arguments_are_reported_at_once()
    {
        Assert.Equal(2, await RunAsync("--to=kafkaesque", "--keep=0", "--index=Big", "--user-file=/u", "--url=ftp://x"));

        Assert.Equal(
            [
                "--to: 'kafkaesque' is not one of elasticsearch, opensearch, kafka.",
                "--keep: '0' is not a number of days from 1 to 3650.",
                "--url: 'ftp://x' has 'ftp://x', which is not an address; write one like https://elasticsearch:9200.",
                "--index: 'Big' is not the name of an index; write small letters, digits, '-', '_' and '.', at most 200, and a letter or a digit first.",
                "--user-file, --password-file: give both.",
                "--user-file: '/u' cannot be read: there is no file '/u'.",
            ],
            _errors.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Also those that would not be read, since the server is asked first without them.</summary>
    [Theory]
    [InlineData("--user-file=/nowhere/a", "--password-file=/nowhere/b")]
    [InlineData("--user-file=nowhere/a", "--password-file=nowhere/b")]
    [InlineData("--api-key-file=/nowhere/a")]
    [InlineData("--ca-file=/nowhere/a")]
    [InlineData("--ca-file=/nowhere/a", "--dry-run")]
    public async Task Files_that_are_not_there_are_named_before_a_server_is_asked(params string[] arguments)
    {
        Assert.Equal(2, await RunAsync(["--to=opensearch", $"--url={_server.Url}", .. arguments]));

        var files = arguments.Select(argument => argument.Split('=')).Where(argument => argument.Length == 2);
        Assert.Equal(
            files.Select(file => $"{file[0]}: '{Path.GetFullPath(file[1])}' cannot be "),
            _errors.ToString().Trim().Split('\n').Select(error => error[..(error.IndexOf("cannot be ", StringComparison.Ordinal) + "cannot be ".Length)]));
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task A_password_in_an_address_is_not_printed()
    {
        Assert.Equal(2, await RunAsync("--to=opensearch", "--url=http://u:p@host"));

        Assert.Equal(
            "--url: 'http://***@host' has a name or a password in the address of host; put them into files, and set --user-file and --password-file.\n", _errors.ToString());
    }

    [Theory]
    [InlineData("elasticsearch")]
    [InlineData("opensearch")]
    [InlineData("clickhouse")]
    [InlineData("flink")]
    [InlineData("spark")]
    public void A_schema_names_every_field(string engine)
    {
        Assert.Equal(0, FlowsSchemaCommand.Run([$"--for={engine}"], _output, _errors));

        var text = _output.ToString();
        var isMapping = engine is "elasticsearch" or "opensearch";
        Assert.All(
            RecordFields.All.Where(field => !isMapping || field.Datasets is not [RecordDataset.Identity]),
            field => Assert.Contains(engine == "clickhouse" ? $"  {field.Path.TrimStart('@').Replace('.', '_')} " : isMapping ? $"\"{field.Path.Split('.')[^1]}\": {{" : $"`{field.Path.Split('.')[^1]}`", text, StringComparison.Ordinal));
    }

    private static JsonNode Template(bool isOpenSearch = false) => JsonNode.Parse(IndexTemplate.OfRecords("podnet-flow").Write(isOpenSearch))!;

    private static JsonNode? MappingOf(JsonNode template, string path)
    {
        var node = template["template"]!["mappings"];
        foreach (var name in path.Split('.'))
        {
            node = node?["properties"]?[name];
        }
        return node;
    }

    private Task<int> RunAsync(params string[] arguments) => FlowsInstallCommand.RunAsync(arguments, _output, _errors, TestContext.Current.CancellationToken);
}
