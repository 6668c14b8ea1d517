using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Exporter.Engine.Tests.Golden;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>jobs/flink on the real engines, over golden traffic.</summary>
public sealed class FlinkJobTests
{
    private const string Flows = "flows";
    private const int Partitions = 4;

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task Each_attack_is_found_once_and_nothing_else_and_the_matrix_is_the_truth()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.WriteAsync(broker, Flows, traffic.Records);
        await using var job = new FlinkJob(broker, Flows);

        await job.RunBoundedAsync();

        FlinkResults.AssertDetections(traffic.Truth, job.Detections);
        FlinkResults.AssertMatrix(traffic.Truth, job.Matrix);
        var counts = FlinkResults.Sum(job.Counts);
        Assert.Equal(traffic.Truth.Counts["unknown"], counts["unknown_dataset"]);
        Assert.Equal(traffic.Truth.Counts["broken"], counts["not_json"] + counts["incomplete"]);
        Assert.DoesNotContain("late", counts.Keys);
    }

    [Fact]
    public async Task A_job_that_is_killed_and_restored_says_nothing_twice_and_misses_nothing()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.CreateAsync(broker, Flows, Partitions);
        var checkpoints = Directory.CreateTempSubdirectory("podnet-checkpoints-");
        await using var job = new FlinkJob(broker, Flows);
        try
        {
            // The first attacks are in the first part, and some are not over.
            var cut = traffic.Truth.Begin + TimeSpan.FromMinutes(68.4);
            GoldenTopic.Append(broker, Flows, traffic.Records.Where(record => record.Appended < cut));
            await job.StartAsync($"--checkpoints={checkpoints.FullName}");
            await job.WaitAsync(() => job.Detections.Any(detection => FlinkResults.Rule(detection) == "port_scan"));
            await job.KillAsync();

            GoldenTopic.Append(broker, Flows, traffic.Records.Where(record => record.Appended >= cut));
            AppendEnd(broker, traffic.Truth.Begin);
            await job.StartAsync($"--checkpoints={checkpoints.FullName}", $"--restore={checkpoints.FullName}");
            await job.WaitAsync(() => HasAll(job, traffic.Truth));

            FlinkResults.AssertMatrix(traffic.Truth, job.Matrix);
            FlinkResults.AssertDetections(traffic.Truth, job.Detections);
        }
        finally
        {
            await job.DisposeAsync();
            checkpoints.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task An_outage_of_the_broker_while_a_backlog_is_read_changes_nothing()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.WriteAsync(broker, Flows, traffic.Records, Partitions);
        AppendEnd(broker, traffic.Truth.Begin);
        await using var job = new FlinkJob(broker, Flows);
        await job.StartAsync();
        await job.WaitAsync(() => job.Matrix.Count > 0);

        await broker.KillAsync();
        await broker.RestartAsync();
        await job.WaitAsync(() => HasAll(job, traffic.Truth));

        FlinkResults.AssertMatrix(traffic.Truth, job.Matrix);
        FlinkResults.AssertDetections(traffic.Truth, job.Detections);
    }

    /// <summary>Each of the two tasks that read has one, and is idle until the other partition's watermark counts.</summary>
    [Fact]
    public async Task Partitions_without_records_hold_no_window_open()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.CreateAsync(broker, Flows, Partitions);
        GoldenTopic.Append(broker, Flows, traffic.Records, partition: 0);
        AppendEnd(broker, traffic.Truth.Begin, partitions: 1);
        await using var job = new FlinkJob(broker, Flows);
        // Records are late with so little.
        await job.StartAsync("--lateness=20s");

        var last = traffic.Truth.Matrix.Keys.Max(key => key.Minute);
        await job.WaitAsync(() => job.Matrix.Any(row => FlinkResults.MinuteOf(row) == last)
            && FlinkResults.Planted(traffic.Truth).Select(FlinkResults.Rule).ToHashSet().IsSubsetOf(job.Detections.Select(FlinkResults.Rule)));
    }

    /// <summary>All inputs are idle then; what was open when the records stopped ends when others come.</summary>
    [Fact]
    public async Task A_pause_of_all_nodes_loses_no_row_of_the_matrix()
    {
        var traffic = GoldenTraffic.Make();
        var (stopped, resumed) = (traffic.Truth.Begin + TimeSpan.FromMinutes(20), traffic.Truth.Begin + TimeSpan.FromMinutes(40));
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.CreateAsync(broker, Flows, Partitions);
        await using var job = new FlinkJob(broker, Flows);
        GoldenTopic.Append(broker, Flows, traffic.Records.Where(record => record.Time < stopped));
        await job.StartAsync();
        await job.WaitAsync(() => job.Matrix.Any(row => FlinkResults.MinuteOf(row) == stopped - TimeSpan.FromMinutes(4)));
        // Longer than a partition may be silent before it is idle.
        await Task.Delay(TimeSpan.FromMinutes(2.2), TestContext.Current.CancellationToken);

        // As they would come: a partition that is idle does not hold others back that have an hour to read.
        var live = resumed + TimeSpan.FromMinutes(1);
        GoldenTopic.Append(broker, Flows, traffic.Records.Where(record => record.Time >= resumed && record.Time < live));
        await job.WaitAsync(() => job.Matrix.Any(row => FlinkResults.MinuteOf(row) == stopped - TimeSpan.FromMinutes(1)));
        GoldenTopic.Append(broker, Flows, traffic.Records.Where(record => record.Time >= live));
        AppendEnd(broker, traffic.Truth.Begin);
        await job.WaitAsync(() => job.Matrix.Count >= traffic.Truth.Matrix.Keys.Count(key => HasRecords(key.Minute)));

        FlinkResults.AssertMatrix(traffic.Truth, job.Matrix, HasRecords);

        bool HasRecords(DateTimeOffset time) => time < stopped || time >= resumed;
    }

    [Fact]
    public async Task A_topic_without_records_gives_no_result()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.CreateAsync(broker, Flows, Partitions);
        await using var job = new FlinkJob(broker, Flows);

        await job.RunBoundedAsync();

        Assert.Empty(job.Detections);
        Assert.Empty(job.Matrix);
    }

    [Fact]
    public async Task A_topic_that_is_read_from_the_middle_has_no_gaps_at_its_beginning()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        var middle = traffic.Truth.Begin + TimeSpan.FromMinutes(40.07);
        await GoldenTopic.WriteAsync(broker, Flows, traffic.Records.Where(record => record.Appended > middle), Partitions);
        await using var job = new FlinkJob(broker, Flows);

        await job.RunBoundedAsync("--learn=20m");

        Assert.Equal(["node-1"], job.Detections.Where(detection => FlinkResults.Rule(detection) == "gap").Select(detection => FlinkResults.Text(detection, "k8s", "node", "name")));
    }

    /// <summary>As retention does: each partition begins in the middle, and not all in the same interval.</summary>
    [Fact]
    public async Task A_topic_whose_beginning_is_deleted_has_no_gaps_there()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.WriteAsync(broker, Flows, traffic.Records, Partitions);
        using (var admin = broker.Administer())
        {
            var kept = TopicReader.ReadAll(broker, Flows)
                .Where(record => record.Timestamp > traffic.Truth.Begin + TimeSpan.FromMinutes(40 + (0.07 * record.Partition)))
                .GroupBy(record => record.Partition, (partition, records) => new TopicPartitionOffset(Flows, partition, records.Min(record => record.Offset)));
            await admin.DeleteRecordsAsync(kept);
        }
        await using var job = new FlinkJob(broker, Flows);

        await job.RunBoundedAsync("--learn=20m");

        Assert.Equal(["node-1"], job.Detections.Where(detection => FlinkResults.Rule(detection) == "gap").Select(detection => FlinkResults.Text(detection, "k8s", "node", "name")));
    }

    [Fact]
    public async Task Records_later_than_the_lateness_are_counted_by_node_and_allowed_ends_are_not_reported()
    {
        var traffic = GoldenTraffic.Make();
        await using var broker = await KafkaBroker.StartAsync();
        await GoldenTopic.WriteAsync(broker, Flows, traffic.Records, Partitions);
        await using var job = new FlinkJob(broker, Flows);
        var allow = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(
                allow, "# known\nport_scan dev/shell\nslow_scan 10.0.3.39\nhost_scan tcp/22\n* 443\n", TestContext.Current.CancellationToken);

            await job.RunBoundedAsync("--lateness=10s", $"--allow={allow}", "--threshold=exfiltration.times=1000");

            var late = job.Counts.Where(count => FlinkResults.Text(count, "count", "reason") == "late").ToList();
            Assert.Contains("node-2", late.Select(count => FlinkResults.Text(count, "k8s", "node", "name")));
            var rules = job.Detections.Select(FlinkResults.Rule).ToHashSet();
            Assert.Contains("host_scan", rules);
            Assert.DoesNotContain("port_scan", rules);
            Assert.DoesNotContain("syn_flood", rules);
            Assert.DoesNotContain("exfiltration", rules);
            Assert.DoesNotContain("22", job.Detections.Where(detection => FlinkResults.Rule(detection) == "host_scan").Select(detection => FlinkResults.Text(detection, "destination", "port")));
            Assert.DoesNotContain("10.0.3.39", job.Detections.Select(detection => FlinkResults.Text(detection, "source", "ip")));
        }
        finally
        {
            File.Delete(allow);
        }
    }

    /// <summary>As README.md lists them.</summary>
    [Fact]
    public async Task Rights_to_read_the_records_and_to_write_the_results_are_enough()
    {
        var properties = new Dictionary<string, string>(KafkaBroker.User)
        {
            ["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            ["super.users"] = KafkaBroker.PlainUser,
            // The client of the test knows no right to a transactional id.
            ["allow.everyone.if.no.acl.found"] = "true",
        };
        await using var broker = await KafkaBroker.StartAsync(properties: properties, protocol: "SASL_PLAINTEXT");
        await GoldenTopic.WriteAsync(broker, Flows, GoldenTraffic.Make().Records, Partitions);
        using var admin = broker.Administer();
        string[] results = [$"{Flows}.detections", $"{Flows}.matrix", $"{Flows}.counts"];
        await Task.WhenAll(results.Select(topic => broker.CreateTopicAsync(topic)));
        await admin.CreateAclsAsync(
        [
            Right(ResourceType.Topic, Flows, AclOperation.Read),
            .. results.Select(topic => Right(ResourceType.Topic, topic, AclOperation.Write)),
            Right(ResourceType.Group, $"podnet-flink-{Flows}.detections", AclOperation.Read),
            Right(ResourceType.Broker, "kafka-cluster", AclOperation.Describe),
        ]);
        using var files = new TemporaryDirectory();
        await using var job = new FlinkJob(broker, Flows);

        await job.RunBoundedAsync($"--properties={files.Write("client.properties", KafkaBroker.ClientOfUser("org.apache.flink.kafka.shaded."))}");

        Assert.NotEmpty(job.Detections);
        Assert.NotEmpty(job.Matrix);

        static AclBinding Right(ResourceType type, string name, AclOperation operation) => new()
        {
            Pattern = new() { Type = type, ResourcePatternType = ResourcePatternType.Literal, Name = name },
            Entry = new() { Principal = "User:podnet", Host = "*", Operation = operation, PermissionType = AclPermissionType.Allow },
        };
    }

    /// <summary>The results come with different checkpoints.</summary>
    private static bool HasAll(FlinkJob job, GoldenTruth truth) => job.Matrix.Count >= truth.Matrix.Count && job.Detections.Count >= FlinkResults.Planted(truth).Count();

    /// <summary>Messages of no dataset, long after the traffic: they end its windows, whose records are all that is compared.</summary>
    private static void AppendEnd(KafkaBroker broker, DateTimeOffset begin, int partitions = Partitions)
    {
        var time = begin + TimeSpan.FromHours(3);
        for (var partition = 0; partition < partitions; partition++)
        {
            GoldenTopic.Append(broker, Flows, [new(time, null, $$$"""{"@timestamp":"{{{time.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fffZ}}}","event":{"id":"end-{{{partition}}}","dataset":"end"}}""")], partition);
        }
    }
}
