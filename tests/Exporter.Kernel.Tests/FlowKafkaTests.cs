using Exporter.Engine.Tests.Support;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The binary and a real broker of Kafka: each record arrives at the topic, or is counted as lost there.</summary>
public sealed class FlowKafkaTests(ITestOutputHelper output)
{
    private const string Topic = "podnet.flows";

    [Fact]
    public async Task Killed_at_random_moments_and_rebooted_each_record_arrives_at_Kafka_and_at_the_file_or_is_counted_as_lost()
    {
        var seed = FuzzSeed.Choose();
        output.WriteLine($"{FuzzSeed.Variable}={seed} {ChangingOptions.LivesVariable}={ChangingOptions.Lives}");
        var random = new Random(seed);
        await using var broker = await KafkaBroker.StartAsync();
        using var node = new FlowNode("--Edges:Level=workload", "--Export:Sinks=file,kafka", $"--Kafka:Brokers={broker.BootstrapServers}");
        await broker.CreateTopicAsync(Topic, partitions: 3);
        using (var one = new Pod())
        {
            await LiveAsync(node, broker, random, ChangingOptions.Lives / 2, one);
        }
        // The pins are gone, and so are the pods.
        node.Node.Hide();

        using var other = new Pod();
        await LiveAsync(node, broker, random, ChangingOptions.Lives - (ChangingOptions.Lives / 2), other);

        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, other);
        await node.SettleAsync();
        await SettleAsync(broker);
        Assert.Equal(0, last.Terminate());
        node.Records.Read();
        AssertArrivedOrLost("the file", node.Records);
        var topic = ReadTopic(broker);
        Assert.Empty(topic.Torn);
        AssertArrivedOrLost("Kafka", topic);
    }

    /// <summary>Kills one exporter after the other while a pod has load; each may have other options than the one before.</summary>
    private static async Task LiveAsync(FlowNode node, KafkaBroker broker, Random random, int lives, Pod pod)
    {
        await node.AttachAsync(pod);
        using (await node.StartAsync())
        {
            await SettleAsync(broker);
        }
        var options = ChangingOptions.First;
        using var load = new SteadyLoad(pod);
        for (var life = 0; life < lives; life++)
        {
            options = ChangingOptions.Next(random, options);
            using var exporter = await node.StartAsync(options);
            // The client needs a second to connect.
            await Task.Delay(random.Next(1, 3000));
            exporter.Kill();
        }
    }

    private void AssertArrivedOrLost(string place, FlowLog records)
    {
        var missing = records.AssertArrivedOrLost();
        var epochs = records.Intervals.GroupBy(interval => interval.Epoch).Select(epoch => epoch.MaxBy(interval => interval.Interval)!).ToList();
        Assert.Equal(2, epochs.Count);
        Assert.DoesNotContain(records.Lines.Where(line => !line.IsInterval).GroupBy(line => line.Id), lines => lines.Select(line => line.Epoch).Distinct().Count() > 1);
        output.WriteLine(
            $"{place}: {epochs.Sum(end => end.Interval)} intervals, {epochs.Sum(end => end.Number("interval.issued"))} records issued, "
            + $"{epochs.Sum(end => end.Number("interval.lost"))} counted as lost, {missing} missing, {records.Lines.Count(line => line is { IsInterval: false, IsRepeat: true })} repeats");
    }

    /// <summary>Waits until the topic has an interval that has begun after now, and ended.</summary>
    private static Task SettleAsync(KafkaBroker broker)
    {
        var now = DateTimeOffset.UtcNow.AddMilliseconds(1);
        return Wait.UntilAsync(
            () => Task.FromResult(ReadTopic(broker).HasIntervalAfter(now)),
            () => $"no interval of the topic has begun and ended after {now:O}");
    }

    private static FlowLog ReadTopic(KafkaBroker broker)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllLines(file, TopicReader.ReadAll(broker, Topic).Select(record => record.Value!));
            var records = new FlowLog(file);
            records.Read();
            return records;
        }
        finally
        {
            File.Delete(file);
        }
    }
}
