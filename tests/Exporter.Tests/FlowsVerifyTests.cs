using System.IO.Compression;
using System.Net;
using System.Text;
using Confluent.Kafka;
using Exporter.Commands;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.FlowLines;

namespace Exporter.Tests;

/// <summary>podnet-exporter flows verify: files, counters, its text and its exit code.</summary>
public sealed class FlowsVerifyTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-verify-").FullName;
    private readonly StringWriter _output = new();
    private readonly StringWriter _errors = new();

    public void Dispose()
    {
        _output.Dispose();
        _errors.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Right_files_end_with_OK_and_0()
    {
        var exitCode = await RunAsync($"--from={Write("a", Usual().Text)}");

        Assert.Equal(ExitCode.Success, exitCode);
        Assert.Equal(
            """
            NODE    NAMESPACE  POD    INTERFACE   PART           TX-BYTES  TX-PACKETS  RX-BYTES  RX-PACKETS
            node-0  shop       web-0  veth-web-0  flows              4600          46     59081         591
            node-0  shop       web-0  veth-web-0  rest map_full    120034        1201         0           0
            node-0  shop       web-0  veth-web-0  total            124634        1247     59081         591
            node-0  shop       web-1  veth-web-1  flows               300           3       200           2
            node-0  shop       web-1  veth-web-1  total               300           3       200           2
            all                                   total            124934        1250     59281         593

            5 lines: 2 flow, 1 rest, 1 interval and 1 identity records of 1 nodes, 0 repeats, 0 bad lines; 0 records lost
            OK

            """,
            _output.ToString());
    }

    [Fact]
    public async Task A_problem_is_listed_and_ends_with_1()
    {
        var lines = Usual();
        lines.Lines.RemoveAt(0);

        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={Write("a", lines.Text)}"));

        Assert.EndsWith("problem: 1 record is missing in interval 31 of node-0 (epoch k3)\n", _output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("OK", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n \r\n")]
    [InlineData("{\"event\":")]
    public async Task Files_without_any_record_are_a_problem(string text)
    {
        var file = Write("a", text);

        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={file}", "--from=/dev/null"));

        Assert.EndsWith($"problem: no record is in {file}, /dev/null: are these the files of a sink?\n", _output.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The sink's file is empty after a rotation.</summary>
    [Fact]
    public async Task An_empty_file_beside_others_is_right() =>
        Assert.Equal(ExitCode.Success, await RunAsync($"--from={Write("a", "")}", $"--from={Write("b", Usual().Text)}"));

    [Fact]
    public async Task A_byte_order_mark_is_skipped() => Assert.Equal(ExitCode.Success, await RunAsync($"--from={Write("a", "\uFEFF" + Usual().Text)}"));

    [Fact]
    public async Task A_compressed_file_is_one_problem_that_says_what_to_do()
    {
        var file = Path.Combine(_directory, "a.gz");
        await using (var zip = new GZipStream(File.Create(file), CompressionLevel.Fastest))
        {
            await zip.WriteAsync(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 1000).Select(_ => $"{Guid.NewGuid()}\n"))), TestContext.Current.CancellationToken);
        }

        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={file}"));

        Assert.Equal(
            $"problem: {file} is compressed with gzip: decompress it, as in zcat FILE | podnet-exporter flows verify --from=-",
            Assert.Single(_output.ToString().Split('\n'), line => line.StartsWith("problem", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Several_files_are_one_verification()
    {
        var lines = Usual().Lines;

        Assert.Equal(ExitCode.Success, await RunAsync($"--from={Write("a", string.Join('\n', lines[2..]))}", "--from", Write("b", string.Join('\n', lines[..2]))));
    }

    [Theory]
    [InlineData("--from: give at least one file")]
    [InlineData("--from: give at least one file", "--metrics=http://localhost")]
    [InlineData("--form: 'flows verify' has no such argument. It has --from, --metrics,", "--form=x", "--from=-")]
    [InlineData("--from: has no value. Write --from=FILE|TOPIC.", "--from")]
    [InlineData("--from: has no value. Write --from=FILE|TOPIC.", "--from=")]
    [InlineData("x: 'flows verify' has no such argument", "x", "--from=-")]
    [InlineData("/nowhere/a: there is no such file.", "--from=/nowhere/a")]
    [InlineData("-: there is no such file.", "--from=-", "--metrics=-")]
    [InlineData("--metrics: 'http://***@a' has a name or a password", "--from=-", "--metrics=http://u:p@a")]
    [InlineData("--metrics-before: 'https://***@a' has a name or a password", "--from=-", "--metrics-before=https://u@a", "--metrics-after=http://b")]
    [InlineData("--from: one topic can be verified.", "--from=a", "--from=b", "--brokers=127.0.0.1:9092")]
    [InlineData("--from: 'no topic' is not the name of a topic", "--from=no topic", "--brokers=127.0.0.1:9092")]
    [InlineData("--brokers", "--from=podnet.flows", "--brokers=:")]
    [InlineData("--ca-file: is of use with --brokers alone.", "--from=/dev/null", "--ca-file=/dev/null")]
    [InlineData("--from: standard input can be read once.", "--from=-", "--from", "-")]
    [InlineData("--metrics: is given twice.", "--from=-", "--metrics=http://a", "--metrics=http://b")]
    [InlineData("--metrics: give it alone", "--from=-", "--metrics=http://a", "--metrics-before=http://b", "--metrics-after=http://c")]
    [InlineData("--metrics-before, --metrics-after: give both.", "--from=-", "--metrics-after=http://a")]
    public async Task Wrong_arguments_are_named(string error, params string[] typed)
    {
        Assert.Equal(ExitCode.BadOptions, await RunAsync(typed));

        Assert.Contains(_errors.ToString().Split('\n'), line => line.StartsWith(error, StringComparison.Ordinal));
        Assert.Empty(_output.ToString());
    }

    [Fact]
    public async Task All_wrong_arguments_are_named_at_once()
    {
        await RunAsync("--form=x", "--metrics-after=/nowhere/b", "extra");

        Assert.Equal(5, _errors.ToString().Trim().Split('\n').Length);
    }

    [Fact]
    public async Task Counters_of_a_saved_scrape_that_agree_are_right()
    {
        var exitCode = await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics={Write("m", Scrape())}");

        Assert.Equal(ExitCode.Success, exitCode);
        Assert.EndsWith("2 pods compared with their counters\nOK\n", _output.ToString(), StringComparison.Ordinal);
    }

    /// <summary>https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md: exemplars, timestamps, floating point.</summary>
    [Fact]
    public async Task Counters_can_be_OpenMetrics()
    {
        var scrape = Scrape().Replace(" 4600\n", " 4.6e3 1764324310.5 # {trace=\"x \\\" }\"} 1.0\n", StringComparison.Ordinal).Replace("podnet_transmit_bytes_total counter", "podnet_transmit_bytes counter", StringComparison.Ordinal);

        Assert.Equal(ExitCode.Success, await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics={Write("m", scrape + "# EOF\n")}"));
    }

    /// <summary>As behind kubectl proxy, or another proxy that gives the exporter a path.</summary>
    [Theory]
    [InlineData("http://p:1/api/v1/nodes/n:9969/proxy", "http://p:1/api/v1/nodes/n:9969/proxy/metrics")]
    [InlineData("http://p:1/api/v1/nodes/n:9969/proxy/", "http://p:1/api/v1/nodes/n:9969/proxy/metrics")]
    [InlineData("http://p:1/proxy/metrics", "http://p:1/proxy/metrics")]
    [InlineData("HTTP://p:1", "http://p:1/metrics")]
    public async Task Metrics_are_asked_for_behind_the_path_of_the_address(string url, string asked)
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, Scrape()));

        Assert.Equal(ExitCode.Success, await RunAsync(exporter, $"--from={Write("a", Usual().Text)}", $"--metrics={url}"));

        Assert.Equal([asked], exporter.Requests);
    }

    [Theory]
    [InlineData(" 4600\n", " 4601\n", "shop/web-0: transmit bytes: flows+rest 124634, counters 124635, difference -1")]
    [InlineData(" 59081\n", " 59080\n", "shop/web-0: receive bytes: flows+rest 59081, counters 59080, difference 1")]
    [InlineData(" 1247\n", " 1200\n", "shop/web-0: transmit packets: flows+rest 1247, counters 1200, difference 47")]
    [InlineData(" 591\n", " 0\n", "shop/web-0: receive packets: flows+rest 591, counters 0, difference 591")]
    [InlineData("pod=\"web-1\"", "pod=\"web-2\"", "shop/web-2: receive packets: flows+rest 0, counters 2, difference -2")]
    public async Task Counters_that_differ_are_named_with_their_pod(string written, string changed, string problem)
    {
        var scrape = Scrape().Replace(written, changed, StringComparison.Ordinal);

        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics={Write("m", scrape)}"));

        Assert.Contains($"problem: {problem}\n", _output.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The first records of a pod may be written before the API server has named it.</summary>
    [Theory]
    [InlineData(1247, ExitCode.Success)]
    [InlineData(1246, ExitCode.Failure)]
    public async Task Records_from_before_the_pod_of_an_interface_was_known_are_the_pod_s(int packets, int exitCode)
    {
        var lines = Usual();
        lines.Lines[2] = lines.Lines[2].Replace("""
            "source":{"k8s":{"namespace":{"name":"shop"},"pod":{"name":"web-0"},"workload":{"name":"web","kind":"Deployment"}}},
            """, "", StringComparison.Ordinal);
        var scrape = Scrape().Replace(" 1247\n", $" {packets}\n", StringComparison.Ordinal);

        Assert.Equal(exitCode, await RunAsync($"--from={Write("a", lines.Text)}", $"--metrics={Write("m", scrape)}"));

        Assert.Contains("node-0  -          -      veth-web-0  rest map_full", _output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("not comparable", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Counters_from_before_are_subtracted()
    {
        const string Before = "# TYPE podnet_transmit_bytes_total counter\npodnet_transmit_bytes_total{namespace=\"shop\",pod=\"web-0\",transport=\"tcp\"} 1000\n";
        var after = Scrape().Replace(" 4600\n", " 5600\n", StringComparison.Ordinal);

        Assert.Equal(ExitCode.Success, await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics-before={Write("b", Before)}", $"--metrics-after={Write("m", after)}"));
    }

    [Fact]
    public async Task Counters_that_went_back_are_a_problem()
    {
        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={Write("a", "")}", $"--metrics-before={Write("b", Scrape())}", $"--metrics-after={Write("m", "# TYPE podnet_x counter\n")}"));

        Assert.Contains("problem: shop/web-0: transmit bytes: counters went back from 124634 to 0", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Series_of_no_single_pod_are_said_not_to_be_comparable()
    {
        var scrape = Scrape() + "podnet_transmit_bytes_total{namespace=\"__host__\",pod=\"__host__\"} 7\npodnet_receive_bytes_total{namespace=\"shop\"} 9\n";

        Assert.Equal(ExitCode.Success, await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics={Write("m", scrape)}"));

        Assert.Contains("note: series of pod=\"__host__\": not comparable with records of a pod (transmit bytes 7, transmit packets 0,", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("note: series without the label pod: not comparable", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(300, ExitCode.Success)]
    [InlineData(299, ExitCode.Failure)]
    public async Task A_folded_pod_is_right_where_the_folded_series_have_its_counts(int folded, int exitCode)
    {
        var scrape = Scrape().Replace("podnet_transmit_bytes_total{namespace=\"shop\",pod=\"web-1\",transport=\"tcp\"} 300", $"podnet_transmit_bytes_total{{namespace=\"shop\",pod=\"__other__\",transport=\"tcp\"}} {folded}", StringComparison.Ordinal);

        Assert.Equal(exitCode, await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics={Write("m", scrape)}"));
    }

    [Theory]
    [InlineData("<html></html>\n", "has no family of podnet-exporter")]
    [InlineData("podnet_transmit_bytes_total{namespace=\"shop\",pod=\"web-0\"} NaN\n", "line 1 has the value 'NaN', which is not a whole number of at least 0")]
    [InlineData("podnet_transmit_bytes_total{namespace=\"shop} 1\n", "line 1 has a label value that does not end")]
    [InlineData("podnet_transmit_bytes_total{namespace 1\n", "line 1 has labels that do not end")]
    public async Task A_scrape_that_cannot_be_read_is_an_error(string scrape, string error)
    {
        var file = Write("m", scrape);

        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={Write("a", Usual().Text)}", $"--metrics={file}"));

        Assert.StartsWith($"{file}: {error}", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_exporter_is_asked_for_its_metrics_with_the_token()
    {
        using var exporter = new FakeExporter(_ => (HttpStatusCode.OK, Scrape()));

        Assert.Equal(ExitCode.Success, await RunAsync(exporter, $"--from={Write("a", Usual().Text)}", "--metrics=http://node-0:9969", $"--token-file={Write("t", "secret\n")}"));

        Assert.Equal(["http://node-0:9969/metrics Bearer secret"], exporter.Requests);
    }

    [Fact]
    public async Task A_topic_is_verified_in_all_its_partitions()
    {
        using var kafka = new MockKafka();
        // The interval record comes to another partition than its records, which have two.
        kafka.Append(Usual().Lines);

        Assert.Equal(ExitCode.Success, await RunAsync($"--from={MockKafka.Topic}", $"--brokers={string.Join(',', kafka.Brokers)}"));

        Assert.EndsWith("5 lines: 2 flow, 1 rest, 1 interval and 1 identity records of 1 nodes, 0 repeats, 0 bad lines; 0 records lost\nOK\n", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_message_is_named_by_its_partition_and_offset()
    {
        using var kafka = new MockKafka(partitions: 1);
        kafka.Append([.. Usual().Lines, "no JSON"]);

        Assert.Equal(ExitCode.Failure, await RunAsync($"--from={MockKafka.Topic}", $"--brokers={kafka.Brokers[0]}"));

        Assert.Contains("podnet.flows[0]:5 ", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_topic_without_messages_has_nothing_wrong()
    {
        using var kafka = new MockKafka();

        Assert.Equal(ExitCode.Success, await RunAsync($"--from={MockKafka.Topic}", $"--brokers={kafka.Brokers[0]}"));

        Assert.Contains("0 lines", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_topic_that_is_not_there_is_named_with_what_to_do()
    {
        using var kafka = new MockKafka();
        kafka.Refuse(MockKafka.Metadata, [.. Enumerable.Repeat(ErrorCode.UnknownTopicOrPart, 10)]);

        Assert.Equal(ExitCode.Failure, await RunAsync("--from=podnet.other", $"--brokers={kafka.Brokers[0]}"));

        Assert.Matches("^podnet\\.other on 127\\.0\\.0\\.1:\\d+: .*Look whether the brokers run and whether the user may read the topic", _errors.ToString());
    }

    private static FlowLines Usual() => new FlowLines()
        .Interval(new FlowCounts(4600, 59081), new FlowCounts(300, 200, "web-1", IsSource: false), new FlowCounts(120_034, 0, Reason: "map_full"))
        .Identity("10.0.0.14", "web-0");

    /// <summary>The counters that these records add up to.</summary>
    private static string Scrape() => string.Concat(
        "# TYPE podnet_transmit_bytes_total counter\n",
        Series("transmit_bytes", "web-0", "tcp", 4600),
        Series("transmit_bytes", "web-0", "udp", 120_034),
        Series("transmit_packets", "web-0", "tcp", 1247),
        Series("receive_bytes", "web-0", "tcp", 59081),
        Series("receive_packets", "web-0", "tcp", 591),
        Series("transmit_bytes", "web-1", "tcp", 300),
        Series("transmit_packets", "web-1", "tcp", 3),
        Series("receive_bytes", "web-1", "tcp", 200),
        Series("receive_packets", "web-1", "tcp", 2),
        "podnet_transmit_segments_total{namespace=\"shop\",pod=\"web-0\"} 99999\n",
        "podnet_uplink_transmit_bytes_total{interface=\"eth0\"} 99999\n");

    private static string Series(string family, string pod, string transport, long value) => $"podnet_{family}_total{{namespace=\"shop\",pod=\"{pod}\",transport=\"{transport}\"}} {value}\n";

    private string Write(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        return path;
    }

    private Task<int> RunAsync(params string[] typed) => RunAsync(null, typed);

    private Task<int> RunAsync(HttpMessageHandler? exporter, params string[] typed) => FlowsVerifyCommand.RunAsync(typed, _output, _errors, exporter, TestContext.Current.CancellationToken);
}
