using Confluent.Kafka;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>The broker that other tests of the ring stand on.</summary>
public sealed class KafkaBrokerTests
{
    private const string Topic = "records";

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task A_record_that_was_acknowledged_outlives_the_kill_of_the_broker()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(Topic, partitions: 2);
        using var producer = Produce(broker);
        await producer.ProduceAsync(Topic, new() { Key = "before", Value = "1" });

        await broker.KillAsync();
        await broker.RestartAsync();
        await producer.ProduceAsync(Topic, new() { Key = "after", Value = "2" });

        Assert.Equal([("after", "2"), ("before", "1")], TopicReader.ReadAll(broker, Topic).Select(record => (record.Key, record.Value)).Order());
    }

    [Fact]
    public async Task Another_node_leads_once_the_leader_is_killed()
    {
        await using var broker = await KafkaBroker.StartAsync(nodes: 3);
        await broker.CreateTopicAsync(Topic);
        using var producer = Produce(broker);
        await producer.ProduceAsync(Topic, new() { Key = "before", Value = "1" });
        var leader = broker.LeaderOf(Topic, 0);

        await broker.KillAsync(leader);
        await producer.ProduceAsync(Topic, new() { Key = "after", Value = "2" });

        Assert.NotEqual(leader, broker.LeaderOf(Topic, 0));
        Assert.Equal(["before", "after"], TopicReader.ReadAll(broker, Topic).Select(record => record.Key));
    }

    private static IProducer<string, string> Produce(KafkaBroker broker) =>
        new ProducerBuilder<string, string>(new ProducerConfig { BootstrapServers = broker.BootstrapServers, Acks = Acks.All, EnableIdempotence = true })
            .SetLogHandler(static (_, _) => { })
            .Build();
}
