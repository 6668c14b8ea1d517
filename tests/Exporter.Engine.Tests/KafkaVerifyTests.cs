using Confluent.Kafka;
using Exporter.Commands;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>podnet-exporter flows verify --brokers on topics that are older than their retention, or written to meanwhile.</summary>
public sealed class KafkaVerifyTests
{
    private const int Partitions = 4;

    [Fact]
    public async Task A_topic_whose_partitions_begin_at_different_times_is_right()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions, new() { ["message.timestamp.type"] = "LogAppendTime" });
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));
        for (var i = 0; i < 8; i++)
        {
            await stream.IssueAsync(100);
            await stream.SettleAsync("kafka");
        }
        Assert.Equal((ExitCode.Success, ""), await VerifyAsync(broker));

        using var admin = broker.Administer();
        await admin.DeleteRecordsAsync([new(KafkaSinks.Topic, 0, new Offset(30)), new(KafkaSinks.Topic, 2, new Offset(70))]);

        var (exitCode, notes) = await VerifyAsync(broker);
        Assert.Equal(ExitCode.Success, exitCode);
        Assert.Contains("not whole at the beginning or the end of the topic", notes, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_topic_that_is_written_to_is_right()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions, new() { ["message.timestamp.type"] = "LogAppendTime" });
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));
        var results = new List<(int ExitCode, string Notes)>();

        await stream.IssueWhileAsync(VerifyAllAsync(), 100, TimeSpan.FromMilliseconds(1));

        Assert.All(results, result => Assert.Equal(ExitCode.Success, result.ExitCode));

        async Task VerifyAllAsync()
        {
            for (var i = 0; i < 10; i++)
            {
                results.Add(await VerifyAsync(broker));
            }
        }
    }

    [Fact]
    public async Task A_topic_of_which_a_partition_has_lost_all_is_not_checked_and_says_so()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions, new() { ["message.timestamp.type"] = "LogAppendTime" });
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));
        await stream.IssueAsync(100);
        await stream.IssueAsync(100);
        await stream.SettleAsync("kafka");

        using var admin = broker.Administer();
        await admin.DeleteRecordsAsync([new(KafkaSinks.Topic, 1, Offset.End)]);

        var (exitCode, notes) = await VerifyAsync(broker);
        Assert.Equal(ExitCode.Success, exitCode);
        Assert.Contains("not whole at the beginning or the end of the topic", notes, StringComparison.Ordinal);
    }

    /// <returns>The exit code, and notes and problems.</returns>
    private static async Task<(int ExitCode, string Notes)> VerifyAsync(KafkaBroker broker)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        var exitCode = await FlowsCommand.RunAsync(["verify", $"--from={KafkaSinks.Topic}", $"--brokers={broker.BootstrapServers}"], output, errors);
        Assert.Empty(errors.ToString());
        return (exitCode, string.Join('\n', output.ToString().Split('\n').Where(line => line.StartsWith("note: ", StringComparison.Ordinal) || line.StartsWith("problem: ", StringComparison.Ordinal))));
    }
}
