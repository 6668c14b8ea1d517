using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Exporter.Engine.Tests.Golden;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>jobs/spark on the real Spark, over golden traffic.</summary>
public sealed class SparkJobTests
{
    private const string Flows = "podnet.flows";

    private const string Detections = "podnet.detections";

    private static readonly DateTimeOffset FirstDay = new(2026, 11, 27, 10, 0, 0, TimeSpan.Zero);

    /// <summary>Also when the job runs again; the topic has broken messages, unknown datasets, more fields, nulls and repeats.</summary>
    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task The_planted_beacon_alone_is_found_in_a_topic_and_has_the_same_id_when_it_is_found_again()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.WriteAsync(broker, Flows, traffic.Records);
        await broker.CreateTopicAsync(Detections);
        using var files = new TemporaryDirectory();
        GoldenFiles.Write(traffic, files.Path);

        var job = await SparkJob.RunAsync($"--brokers={broker.BootstrapServers}", $"--detections={Detections}");
        var again = await SparkJob.RunAsync($"--files={files.Path}/*.jsonl");

        Assert.Empty(job.Detections);
        var written = Assert.Single(TopicReader.ReadAll(broker, Detections));
        var detection = JsonElement.Parse(written.Value!);
        AssertPlanted(Assert.Single(traffic.Truth.Detections, planted => (string?)planted["rule"]!["name"] == "beacon"), detection);
        Assert.Equal(Text(detection, "event", "id"), written.Key);
        Assert.Equal(written.Value, Assert.Single(again.Detections).GetRawText());
        AssertCounts(traffic, job.Counts, traffic.Truth.Counts["broken"]);
        // A file has no message without a value.
        AssertCounts(traffic, again.Counts, traffic.Truth.Counts["broken"] - traffic.Records.Count(record => record.Value is null));
    }

    [Fact]
    public async Task The_report_compares_with_the_day_before_and_a_night_between_hides_no_beacon()
    {
        // The first day ends with the hour in which nothing is new.
        var (before, after) = (GoldenTraffic.Make(seed: 2, begin: FirstDay), GoldenTraffic.Make(begin: FirstDay.AddDays(1)));
        using var files = new TemporaryDirectory();
        files.Write("first.jsonl", Lines(before.Records.Where(record => record.Appended < FirstDay + GoldenTraffic.Learning)));
        files.Write("second.jsonl", Lines(after.Records));
        var report = Path.Combine(files.Path, "report");

        await SparkJob.RunAsync($"--files={files.Path}/*.jsonl", $"--report={report}");

        Assert.Equal(
            after.Truth.Detections.Where(planted => (string?)planted["rule"]!["name"] == "first_contact").Select(planted => (int)planted["destination"]!["port"]!).Order(),
            SparkJob.ReadTable(report, "first_contacts").Select(row => row.GetProperty("port").GetInt32()).Order());
        AssertVolume(before.Truth, after.Truth, SparkJob.ReadTable(report, "volume"));
        AssertFailures(SparkJob.ReadTable(report, "failures"));
        Assert.Contains("| batch/agent | 198.51.100.77 | 443 |", File.ReadAllText(Path.Combine(report, "report.md")), StringComparison.Ordinal);
        Assert.Equal("svg", XDocument.Load(Path.Combine(report, "report.svg")).Root!.Name.LocalName);
    }

    [Fact]
    public async Task The_pairs_of_an_hour_are_the_truth_and_an_exception_is_no_beacon()
    {
        var traffic = GoldenTraffic.Make();
        var (from, to) = (traffic.Truth.Begin, traffic.Truth.Begin + GoldenTraffic.Learning);
        using var files = new TemporaryDirectory();
        GoldenFiles.Write(traffic, files.Path);
        var report = Path.Combine(files.Path, "report");

        var job = await SparkJob.RunAsync(
            $"--files={files.Path}/records.jsonl", $"--from={Text(from)}", $"--to={Text(to)}", $"--report={report}", $"--allow={files.Write("allow", "beacon workload batch/agent")}");

        Assert.Empty(job.Detections);
        var pairs = traffic.Truth.Matrix.Where(row => row.Key.Minute < to).GroupBy(row => (row.Key.Source, row.Key.Destination), row => row.Value);
        Assert.Equal(
            pairs.Select(rows => (rows.Key, Sum(rows, row => row.SourceBytes), Sum(rows, row => row.DestinationPackets), Sum(rows, row => row.Connections))).Order(),
            SparkJob.ReadTable(report, "pairs").Select(row => ((Text(row, "source"), Text(row, "destination")), Number(row, "source_bytes"), Number(row, "destination_packets"), Number(row, "connections"))).Order());
    }

    [Fact]
    public async Task A_topic_that_the_broker_does_not_have_is_named_and_an_empty_one_is_not_an_error()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(Flows, partitions: 3);
        var brokers = $"--brokers={broker.BootstrapServers}";

        var (exitCode, _, error) = await SparkJob.TryRunAsync(brokers, $"--detections={Detections}");
        var empty = await SparkJob.RunAsync(brokers);

        Assert.Equal(2, exitCode);
        Assert.Contains($"argument --detections: {broker.BootstrapServers} has no topic '{Detections}'; make it", error, StringComparison.Ordinal);
        Assert.Equal((0, 0), (empty.Counts["messages"], empty.Detections.Count));
    }

    /// <summary>Of a day; on the next one the first datagram that is seen of a conversation is the server's.</summary>
    [Fact]
    public async Task An_endpoint_by_two_protocols_is_two_beacons_and_a_servers_answer_is_no_first_contact()
    {
        using var files = new TemporaryDirectory();
        var calls = Enumerable.Range(0, 12).SelectMany(call => new[] { Line(FirstDay.AddMinutes(call), "tcp", 40_000 + call, 443), Line(FirstDay.AddMinutes(call), "udp", 40_000 + call, 443) });
        files.Write("records.jsonl", string.Join('\n', [.. calls, Line(FirstDay.AddDays(1), "udp", 5353, 41_000)]));
        var report = Path.Combine(files.Path, "report");

        var job = await SparkJob.RunAsync($"--files={files.Path}/records.jsonl", $"--report={report}");

        Assert.Equal(2, job.Detections.Select(detection => Text(detection, "event", "id")).Distinct().Count());
        Assert.Empty(SparkJob.ReadTable(report, "first_contacts"));

        static string Line(DateTimeOffset time, string protocol, int sourcePort, int port) => new JsonObject
        {
            ["@timestamp"] = Text(time),
            ["event"] = new JsonObject { ["id"] = $"{protocol} {time}", ["dataset"] = "podnet.flow", ["start"] = Text(time), ["end"] = Text(time) },
            ["network"] = new JsonObject { ["transport"] = protocol },
            ["source"] = new JsonObject
            {
                ["ip"] = "10.0.0.5",
                ["port"] = sourcePort,
                ["bytes"] = 90,
                ["packets"] = 1,
                ["class"] = "pods",
                ["k8s"] = JsonNode.Parse("""{"namespace":{"name":"shop"},"pod":{"name":"web-0"},"workload":{"name":"web"}}"""),
            },
            ["destination"] = new JsonObject { ["ip"] = "203.0.113.9", ["port"] = port, ["bytes"] = 90, ["packets"] = 1, ["class"] = "internet" },
            ["flow"] = new JsonObject { ["observer"] = "source", ["state"] = protocol == "tcp" ? "closed" : null, ["connections"] = 1, ["start"] = Text(time) },
        }.ToJsonString();
    }

    [Fact]
    public async Task A_broker_that_asks_for_a_user_is_read_and_written_to_with_the_properties_of_a_file()
    {
        await using var broker = await KafkaBroker.StartAsync(properties: KafkaBroker.User, protocol: "SASL_PLAINTEXT");
        await GoldenTopic.WriteAsync(broker, Flows, GoldenTraffic.Make().Records);
        await broker.CreateTopicAsync(Detections);
        using var files = new TemporaryDirectory();
        var properties = files.Write("client.properties", $"# of the cluster\n{KafkaBroker.ClientOfUser()}");

        await SparkJob.RunAsync($"--brokers={broker.BootstrapServers}", $"--detections={Detections}", $"--properties={properties}");

        Assert.Single(TopicReader.ReadAll(broker, Detections));
    }

    private static void AssertPlanted(JsonObject planted, JsonElement detection)
    {
        Assert.Equal(
            ("beacon", "alert", "podnet.detection", (string?)planted["source"]!["ip"], (string?)planted["source"]!["k8s"]!["workload"]!["name"], (string?)planted["destination"]!["ip"], "internet"),
            (Text(detection, "rule", "name"), Text(detection, "event", "kind"), Text(detection, "event", "dataset"), Text(detection, "source", "ip"), Text(detection, "source", "k8s", "workload", "name"), Text(detection, "destination", "ip"), Text(detection, "destination", "class")));
        Assert.Equal((int)planted["destination"]!["port"]!, detection.GetProperty("destination").GetProperty("port").GetInt32());
        Assert.Equal((double)planted["detection"]!["value"]!, detection.GetProperty("detection").GetProperty("value").GetDouble(), tolerance: 1e-5);
        Assert.Matches("^[A-Za-z0-9_-]{22}$", Text(detection, "event", "id"));
    }

    private static void AssertCounts(GoldenTraffic traffic, IReadOnlyDictionary<string, long> counts, int broken)
    {
        var truth = traffic.Truth.Counts;
        Assert.Equal(
            [truth["flows"], truth["rests"], truth["intervals"], truth["identities"], truth["repeats"], truth["unknown"], broken, 1],
            ((string[])["flow", "rest", "interval", "identity", "repeats", "unknown", "broken", "detections"]).Select(name => (int)counts[name]));
    }

    /// <summary>An hour of the second day, and beside it the same hour of the first.</summary>
    private static void AssertVolume(GoldenTruth before, GoldenTruth after, IReadOnlyList<JsonElement> rows)
    {
        var hour = FirstDay.AddDays(1);
        Assert.Equal(
            Names(after).Select(name => (name, SentIn(after, hour, name), SentIn(before, FirstDay, name))).Order(),
            rows.Where(row => Text(row, "hour") == $"{Text(hour)[..^1]}.000Z").Select(row => (Text(row, "name"), Number(row, "bytes_sent"), (ulong)row.GetProperty("mean_sent").GetDouble())).Order());

        IEnumerable<string> Names(GoldenTruth truth) => truth.Matrix.Keys.Where(key => key.Minute < hour.AddHours(1)).SelectMany(key => (string[])[key.Source, key.Destination]).Distinct();
    }

    private static ulong SentIn(GoldenTruth truth, DateTimeOffset hour, string name) =>
        Sum(truth.Matrix.Where(row => row.Key.Minute < hour.AddHours(1) && row.Key.Source == name).Select(row => row.Value), row => row.SourceBytes)
        + Sum(truth.Matrix.Where(row => row.Key.Minute < hour.AddHours(1) && row.Key.Destination == name).Select(row => row.Value), row => row.DestinationBytes);

    /// <summary>Each connection is counted once, however many records it has.</summary>
    private static void AssertFailures(IReadOnlyList<JsonElement> rows)
    {
        var failures = rows.ToDictionary(row => (Text(row, "source"), Text(row, "destination")), row => (Number(row, "refused"), Number(row, "unanswered"), Number(row, "half_open")));
        Assert.Equal((150ul, 0ul, 0ul), failures[("dev/shell", "data/db")]);
        Assert.Equal((0ul, 200ul, 0ul), failures[("dev/shell", "shop/cart")]);
        Assert.Equal((300ul, 240ul, 0ul), failures[("dev/probe", "private")]);
        Assert.Equal((0ul, 0ul, 1500ul), failures[("internet", "shop/web")]);
        Assert.DoesNotContain(("shop/web", "shop/cart"), failures.Keys);
        Assert.Equal(160ul, Number(Assert.Single(rows, row => (Text(row, "source"), Text(row, "destination")) == ("dev/shell", "shop/cart")), "mixed"));
    }

    private static ulong Sum(IEnumerable<MatrixRow> rows, Func<MatrixRow, ulong> of) => rows.Aggregate(0ul, (sum, row) => sum + of(row));

    private static string Lines(IEnumerable<GoldenRecord> records) => string.Join('\n', records.Select(record => record.Value).OfType<string>());

    private static string Text(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Text(JsonElement element, params string[] path) => path.Aggregate(element, (found, name) => found.GetProperty(name)).GetString()!;

    private static ulong Number(JsonElement row, string name) => row.GetProperty(name).GetUInt64();
}
