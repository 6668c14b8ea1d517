using System.Text;
using Confluent.Kafka;

namespace Exporter.Engine.Tests.Support;

/// <summary>A record of a topic; texts are null where the record has none.</summary>
internal sealed record TopicRecord(string? Key, string? Value, int Partition, long Offset, DateTimeOffset Timestamp);

/// <summary>Reads topics with a client of its own.</summary>
internal static class TopicReader
{
    /// <summary>The records of a topic from its beginning to the end that it has now, by partition; those of open or aborted transactions are not among them.</summary>
    internal static IReadOnlyList<TopicRecord> ReadAll(KafkaBroker broker, string topic) => [.. Read(broker, topic)];

    private static IEnumerable<TopicRecord> Read(KafkaBroker broker, string topic)
    {
        using var consumer = new ConsumerBuilder<byte[], byte[]>(new ConsumerConfig
        {
            BootstrapServers = broker.PlainServers,
            GroupId = "podnet-engine-test",
            EnableAutoCommit = false,
            EnablePartitionEof = true,
            IsolationLevel = IsolationLevel.ReadCommitted,
        }).SetLogHandler(static (_, _) => { }).Build();
        using var admin = broker.Administer();
        var partitions = admin.GetMetadata(topic, Silence.Limit).Topics.Single().Partitions;
        foreach (var partition in partitions)
        {
            consumer.Assign(new TopicPartitionOffset(topic, partition.PartitionId, Offset.Beginning));
            while (true)
            {
                var result = consumer.Consume(Silence.Limit) ?? throw new InvalidOperationException($"Partition {partition.PartitionId} of {topic} does not answer:\n{broker.Log}");
                if (result.IsPartitionEOF)
                {
                    break;
                }
                yield return new(Text(result.Message.Key), Text(result.Message.Value), result.Partition, result.Offset, result.Message.Timestamp.UtcDateTime);
            }
        }
    }

    private static string? Text(byte[]? bytes) => bytes is null ? null : Encoding.UTF8.GetString(bytes);
}
