using System.Text;
using Confluent.Kafka;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests.Golden;

/// <summary>Golden traffic in a topic of its own.</summary>
internal static class GoldenTopic
{
    /// <summary>Makes the topic, and writes the records into it in their order, each with the time at which a broker would have appended it.</summary>
    internal static async Task WriteAsync(KafkaBroker broker, string topic, IEnumerable<GoldenRecord> records, int partitions = 4)
    {
        await CreateAsync(broker, topic, partitions);
        Append(broker, topic, records);
    }

    /// <summary>Makes the topic.</summary>
    internal static Task CreateAsync(KafkaBroker broker, string topic, int partitions = 4) =>
        broker.CreateTopicAsync(topic, partitions, new() { ["message.timestamp.type"] = "CreateTime", ["retention.ms"] = "-1" });

    /// <summary>Writes records, and waits until the broker has them.</summary>
    /// <param name="partition">Of all of them; null: by their keys.</param>
    internal static void Append(KafkaBroker broker, string topic, IEnumerable<GoldenRecord> records, int? partition = null)
    {
        var refused = new List<string>();
        using (var producer = new ProducerBuilder<byte[]?, byte[]?>(new ProducerConfig
        {
            BootstrapServers = broker.PlainServers,
            EnableIdempotence = true,
            LingerMs = 50,
            QueueBufferingMaxMessages = 10_000_000,
            Partitioner = Partitioner.Murmur2Random,
        }).SetLogHandler(static (_, _) => { }).Build())
        {
            foreach (var record in records)
            {
                producer.Produce(new TopicPartition(topic, partition ?? Partition.Any), new() { Key = Bytes(record.Key), Value = Bytes(record.Value), Timestamp = new(record.Appended) }, report =>
                {
                    if (report.Error.IsError)
                    {
                        refused.Add(report.Error.Reason);
                    }
                });
            }
            producer.Flush(Silence.Limit);
        }
        Assert.Empty(refused);
    }

    private static byte[]? Bytes(string? text) => text is null ? null : Encoding.UTF8.GetBytes(text);
}
