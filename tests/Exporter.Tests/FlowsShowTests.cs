using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Exporter.Commands;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;
using static Exporter.Tests.Support.FlowLines;

namespace Exporter.Tests;

/// <summary>podnet-exporter flows: the last interval of a running exporter.</summary>
public sealed class FlowsShowTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly StringWriter _output = new();
    private readonly StringWriter _errors = new();

    public void Dispose()
    {
        _output.Dispose();
        _errors.Dispose();
    }

    [Fact]
    public async Task Records_are_lines_of_a_table_of_at_most_120_characters()
    {
        var lines = new FlowLines().Interval(
            new(4600, 59081), new(300, 200, "a-pod-with-a-name-of-more-characters-than-fit-here-7f9c4", IsSource: false), new(123_456_789_012, 0, Reason: "map_full"));

        Assert.Equal(ExitCode.Success, await RunAsync(lines.Text));

        Assert.Equal(
            """
            TIME     NAMESPACE/POD              DIR PEER                        PORT PROTO STATE        TX-BYTES   RX-BYTES     RTT
            10:05:10 shop/web-0                 out data/db                     5432 tcp   open             4600      59081   881us
            10:05:10 shop/a-pod-w~it-here-7f9c4 in  data/db                    45717 tcp   open              300        200   881us
            10:05:10 shop/web-0                 out (rest: map_full)               - -     -          123456789k          0       -

            """,
            _output.ToString());
        Assert.Empty(_errors.ToString());
        Assert.All(_output.ToString().Split('\n'), line => Assert.True(line.Length <= 120));
    }

    /// <summary>As behind kubectl proxy, or another proxy that gives the exporter a path.</summary>
    [Theory]
    [InlineData("http://p:1", "http://p:1/api/v1/flows")]
    [InlineData("http://p:1/", "http://p:1/api/v1/flows")]
    [InlineData("http://p:1/api/v1/nodes/n:9969/proxy", "http://p:1/api/v1/nodes/n:9969/proxy/api/v1/flows")]
    [InlineData("http://p:1/api/v1/nodes/n:9969/proxy/", "http://p:1/api/v1/nodes/n:9969/proxy/api/v1/flows")]
    [InlineData("http://p:1/proxy/api/v1/flows", "http://p:1/proxy/api/v1/flows")]
    public async Task Records_are_asked_for_behind_the_path_of_the_address(string url, string asked)
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, ""));

        Assert.Equal(ExitCode.Success, await RunAsync(exporter, [$"--url={url}"]));

        Assert.Equal([asked], exporter.Requests);
    }

    [Fact]
    public async Task Records_are_printed_as_they_came_with_json()
    {
        var lines = new FlowLines().Interval(new FlowCounts(4600, 59081), new FlowCounts(7, 0, Reason: "map_full"));

        await RunAsync(lines.Text, "-o", "json");

        Assert.Equal(lines.Text, _output.ToString());
    }

    [Theory]
    [InlineData("web-0 web-1 api-0 web-0")]
    [InlineData("web-0 web-1 api-0 web-0", "-n", "shop")]
    [InlineData("", "-n", "data")]
    [InlineData("web-1", "--pod=web-1")]
    [InlineData("web-0 web-1 web-0", "--pod", "web-*")]
    [InlineData("", "--pod=web")]
    [InlineData("web-0 web-1 api-0", "--peer=DATA/d")]
    [InlineData("web-0 web-1 api-0", "--peer=10.96.")]
    [InlineData("web-0 web-1 api-0", "--peer=service")]
    [InlineData("", "--peer=shop")]
    [InlineData("web-0 web-1 api-0", "--port=5432")]
    [InlineData("", "--port=80")]
    [InlineData("web-0 web-1 api-0", "--host=10.0.0.14")]
    [InlineData("web-0 web-1 api-0", "--host=10.3.0.0/16")]
    [InlineData("", "--host=10.0.0.15")]
    [InlineData("", "--host=::/0")]
    [InlineData("web-0", "--pod=web-0", "--port=5432", "--namespace=shop")]
    public async Task Records_are_chosen_by_arguments(string pods, params string[] typed)
    {
        var lines = new FlowLines().Interval(new(1, 2), new(3, 4, "web-1", IsSource: false), new(5, 6, "api-0"), new(7, 0, Reason: "map_full"));

        await RunAsync(lines.Text, typed);

        Assert.Equal(pods, string.Join(' ', _output.ToString().Split('\n').Skip(1).Where(line => line.Length > 0).Select(line => line.Split(' ')[1]["shop/".Length..])));
    }

    [Theory]
    [InlineData("--port: 'http' is not a whole number from 0 to 65535.", "--port=http")]
    [InlineData("--host: '10.0.0.1/40' is neither an address nor a range like 10.0.0.0/8.", "--host=10.0.0.1/40")]
    [InlineData("--output: 'yaml' is not one of table, json.", "-o", "yaml")]
    [InlineData("--url: 'localhost:9969' is not an address like http://localhost:9969.", "--url=localhost:9969")]
    [InlineData("--url: 'http://***@localhost' has a name or a password; put them into a file, and name it with --user-file.", "--url=http://u:p@localhost")]
    [InlineData("http://***@localhost: 'flows' has no such argument", "http://u:p@localhost")]
    [InlineData("--token-file, --user-file: give one of the two.", "--token-file=a", "--user-file=b")]
    [InlineData("--ca-file: is of use with an address of https alone.", "--ca-file=a")]
    [InlineData("--folow: 'flows' has no such argument. It has --follow, --url,", "--folow")]
    [InlineData("--follow: is a flag and has no value.", "--follow=yes")]
    [InlineData("-n: has no value. Write -n NAMESPACE, --namespace=NAMESPACE.", "-n", "--follow")]
    public async Task Wrong_arguments_are_named(string error, params string[] typed)
    {
        Assert.Equal(ExitCode.BadOptions, await RunAsync("", typed));

        Assert.StartsWith(error, _errors.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("u:p", _errors.ToString(), StringComparison.Ordinal);
        Assert.Empty(_output.ToString());
    }

    [Theory]
    [InlineData("admin:s3cret")]
    [InlineData("\nadmin:{PLAIN}s3cret\r\nother:x\n")]
    public async Task A_name_and_a_password_are_shown_as_the_exporter_s_file_has_them(string text)
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, ""));
        using var file = new TemporaryText(text);

        Assert.Equal(ExitCode.Success, await RunAsync(exporter, [$"--user-file={file.Path}"]));

        Assert.Equal([$"http://localhost:9969/api/v1/flows Basic {Convert.ToBase64String("admin:s3cret"u8)}"], exporter.Requests);
    }

    [Theory]
    [InlineData("admin", "has to hold lines of the form name:password, and line 1 is not one")]
    [InlineData("", "has to hold lines of the form name:password, and is empty")]
    [InlineData(null, "cannot be read: there is no file ")]
    public async Task A_file_without_a_name_and_a_password_is_named(string? text, string problem)
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, ""));
        using var file = new TemporaryText(text ?? "");
        var path = text is null ? "/nowhere/user" : file.Path;

        Assert.Equal(ExitCode.Failure, await RunAsync(exporter, [$"--user-file={path}"]));

        Assert.StartsWith($"{path} {problem}", _errors.ToString(), StringComparison.Ordinal);
        Assert.Empty(exporter.Requests);
    }

    [Theory]
    [InlineData("Bearer", null, "wants a token: give the exporter's Server:BearerTokenFile with --token-file=FILE")]
    [InlineData("Basic realm=\"x\"", null, "wants a name and a password: give a file like the exporter's Server:BasicAuthFile with --user-file=FILE")]
    [InlineData("Bearer,Basic realm=\"x\"", null, "wants a token, or a name and a password: give ")]
    [InlineData("Negotiate", null, "answers 401 Unauthorized")]
    [InlineData("Bearer", "--token-file", "refuses the token in ")]
    [InlineData("Basic realm=\"x\"", "--user-file", "refuses the name and the password in ")]
    [InlineData("Basic realm=\"x\"", "--token-file", "wants a name and a password: give ")]
    [InlineData("Bearer", "--user-file", "wants a token: give ")]
    public async Task A_refusal_names_the_credentials_that_the_exporter_wants(string challenges, string? argument, string error)
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.Unauthorized, "")) { Challenges = challenges.Split(',') };
        using var file = new TemporaryText("name:secret");

        Assert.Equal(ExitCode.Failure, await RunAsync(exporter, argument is null ? [] : [$"{argument}={file.Path}"]));

        Assert.StartsWith($"http://localhost:9969/api/v1/flows {error}", _errors.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound, "set Flows:Enabled=true")]
    [InlineData(HttpStatusCode.ServiceUnavailable, "answers 503")]
    public async Task A_refusal_says_what_to_do(HttpStatusCode status, string error)
    {
        using var exporter = new FakeExporter(_ => (status, ""));

        Assert.Equal(ExitCode.Failure, await RunAsync(exporter, []));

        Assert.StartsWith("http://localhost:9969/api/v1/flows ", _errors.ToString(), StringComparison.Ordinal);
        Assert.Contains(error, _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_on_which_nothing_listens_is_named()
    {
        using var exporter = new FakeExporter(_ => throw new HttpRequestException("refused", new SocketException((int)SocketError.ConnectionRefused)));

        Assert.Equal(ExitCode.Failure, await RunAsync(exporter, ["--url=http://localhost:1234"]));

        Assert.StartsWith("no program listens at http://localhost:1234: start the exporter", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_exporter_that_has_ended_no_interval_yet_is_a_note()
    {
        Assert.Equal(ExitCode.Success, await RunAsync(""));

        Assert.Equal("no interval has ended yet\n", _errors.ToString());
        Assert.Empty(_output.ToString());
    }

    [Fact]
    public async Task Lines_that_are_not_records_are_a_note()
    {
        await RunAsync(new FlowLines().Interval(new FlowCounts(1, 2)).Text + "what\n", "-o", "json");

        Assert.StartsWith("1 lines of the answer are not records", _errors.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("what", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_with_half_of_a_character_is_a_line_that_is_not_a_record()
    {
        Assert.Equal(ExitCode.Success, await RunAsync("{\"\\ud800\":1}\n"));

        Assert.StartsWith("1 lines of the answer are not records", _errors.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "no interval has ended yet\n")]
    [InlineData("what\n", "1 lines of the answer are not records of schema 1, and are not printed: is this program's version the exporter's?\n")]
    public async Task The_same_note_is_printed_once_while_following(string answer, string note)
    {
        using var stopping = new CancellationTokenSource();
        using var exporter = new FakeExporter(request =>
        {
            if (request == 5)
            {
                stopping.Cancel();
            }
            return (HttpStatusCode.OK, answer);
        });

        var following = RunAsync(exporter, ["--follow"], stopping.Token);
        await PassUntilEndAsync(following);

        Assert.Equal(note, _errors.ToString());
    }

    [Fact]
    public async Task A_control_character_in_a_name_does_not_reach_the_terminal()
    {
        var lines = new FlowLines().Interval(new FlowCounts(1, 2, "web\\u001b[2J"));

        await RunAsync(lines.Text);

        Assert.DoesNotContain('\e', _output.ToString());
        Assert.Contains("shop/web?[2J", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_interval_is_printed_once_while_following()
    {
        using var stopping = new CancellationTokenSource();
        string[] intervals = [OfInterval(31), OfInterval(31), OfInterval(32), OfInterval(32), OfInterval(35), OfInterval(1, "m5")];
        using var exporter = new FakeExporter(request => (HttpStatusCode.OK, Next(request)));

        var following = RunAsync(exporter, ["--follow", "-o", "json"], stopping.Token);
        await PassUntilEndAsync(following);

        Assert.Equal(ExitCode.Success, await following);
        Assert.Equal(intervals[0] + intervals[2] + intervals[4] + intervals[5], _output.ToString());
        Assert.Equal("intervals 33 to 34 were replaced before they could be asked for\n", _errors.ToString());

        string Next(int request)
        {
            if (request == intervals.Length)
            {
                stopping.Cancel();
            }
            return intervals[Math.Min(request, intervals.Length - 1)];
        }
    }

    [Fact]
    public async Task Following_outlasts_an_exporter_that_is_away()
    {
        using var stopping = new CancellationTokenSource();
        using var exporter = new FakeExporter(request => request switch
        {
            0 => (HttpStatusCode.OK, OfInterval(31)),
            1 or 2 => throw new HttpRequestException("refused", new SocketException((int)SocketError.ConnectionRefused)),
            3 => (HttpStatusCode.OK, OfInterval(32)),
            _ => throw new OperationCanceledException(Stop(stopping)),
        });

        var following = RunAsync(exporter, ["--follow", "-o", "json"], stopping.Token);
        await PassUntilEndAsync(following);

        Assert.Equal(ExitCode.Success, await following);
        Assert.Equal(OfInterval(31) + OfInterval(32), _output.ToString());
        Assert.Single(_errors.ToString().Trim().Split('\n'), line => line.EndsWith("; trying again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_answer_that_stops_in_its_middle_is_an_error()
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(OfInterval(31)), TestContext.Current.CancellationToken);
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, "")) { Body = pipe.Reader.AsStream() };
        using var client = new FlowsClient(FlowsAccess.Create(""), new("flows", [], []), exporter, _time);
        var view = new FlowsView(client, new("http://localhost:9969"), new(null, null, null, null, null), isJson: true, _output, _errors);

        var showing = view.ShowAsync(TestContext.Current.CancellationToken);
        await PassUntilEndAsync(showing);

        var failure = await Assert.ThrowsAsync<FlowsException>(() => showing);
        Assert.Equal("http://localhost:9969/api/v1/flows stopped in the middle of its answer: no byte came for 10 s", failure.Message);
        Assert.Equal(OfInterval(31), _output.ToString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_certificate_is_trusted_by_the_file_of_its_authority(bool isGiven)
    {
        using var certificates = new Certificates();
        await using var exporter = new SearchServer(certificates.Server);
        exporter.Other = _ => SearchAnswers.Json(OfInterval(31));
        using var authority = new TemporaryText(certificates.Authority.ExportCertificatePem());
        string[] typed = [$"--url={exporter.Url}", "-o", "json", .. isGiven ? [$"--ca-file={authority.Path}"] : (string[])[]];

        var exitCode = await FlowsShowCommand.RunAsync(typed, _output, _errors, handler: null, _time, TestContext.Current.CancellationToken);

        Assert.Equal(isGiven ? (ExitCode.Success, OfInterval(31)) : (ExitCode.Failure, ""), (exitCode, _output.ToString()));
        Assert.Equal(!isGiven, _errors.ToString().Contains("give it with --ca-file=FILE", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_without_an_authority_is_named()
    {
        using var file = new TemporaryText("no PEM");

        Assert.Equal(ExitCode.Failure, await FlowsShowCommand.RunAsync((string[])["--url=https://localhost:1", $"--ca-file={file.Path}"], _output, _errors, handler: null, _time, TestContext.Current.CancellationToken));

        Assert.Equal($"{file.Path} has no certificate in PEM: it has to have the authority's\n", _errors.ToString());
    }

    [Fact]
    public async Task Following_does_not_begin_without_an_answer()
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.NotFound, ""));

        Assert.Equal(ExitCode.Failure, await RunAsync(exporter, ["--follow"]));

        Assert.Single(exporter.Requests);
    }

    [Theory]
    [InlineData(ExitCode.Success, "--help")]
    [InlineData(ExitCode.Success, "help")]
    [InlineData(ExitCode.Success, "verify", "--help")]
    [InlineData(ExitCode.BadOptions, "dance")]
    public async Task The_words_behind_flows_are_commands(int exitCode, params string[] typed)
    {
        Assert.Equal(exitCode, await FlowsCommand.RunAsync(typed, _output, _errors));

        if (exitCode == ExitCode.Success)
        {
            Assert.All(FlowsShowCommand.Arguments.Concat(FlowsVerifyCommand.Arguments), argument => Assert.Contains($"    {argument.Usage}\n", _output.ToString(), StringComparison.Ordinal));
        }
        else
        {
            Assert.StartsWith("flows dance: there is no such command", _errors.ToString(), StringComparison.Ordinal);
        }
    }

    private static string OfInterval(long number, string epoch = "k3") => new FlowLines("node-0", epoch, number).Interval(new FlowCounts(number, 2)).Text;

    private static CancellationToken Stop(CancellationTokenSource stopping)
    {
        stopping.Cancel();
        return stopping.Token;
    }

    private async Task PassUntilEndAsync(Task following)
    {
        while (!following.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
    }

    private async Task<int> RunAsync(string answer, params string[] typed)
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, answer));
        return await RunAsync(exporter, typed);
    }

    private Task<int> RunAsync(HttpMessageHandler exporter, string[] typed) => RunAsync(exporter, typed, TestContext.Current.CancellationToken);

    private Task<int> RunAsync(HttpMessageHandler exporter, string[] typed, CancellationToken cancellationToken) =>
        FlowsShowCommand.RunAsync(typed, _output, _errors, exporter, _time, cancellationToken);
}
