using System.Globalization;
using Confluent.Kafka;
using Exporter.Health;

namespace Exporter.Export.Kafka;

/// <summary>Reads the messages of a topic, for no consumer group: nothing that others see is changed.</summary>
internal static class KafkaTopicReader
{
    /// <summary>How long brokers may be silent.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Reads all messages that the topic has when it is called.</summary>
    /// <param name="options">With the topic.</param>
    /// <param name="take">Gets each message's value in the order of its partition, with the partition as TOPIC[NUMBER] and the offset. Without a value it is empty.</param>
    /// <exception cref="SinkException">The brokers do not answer or refuse, or have no such topic.</exception>
    internal static void ReadAll(KafkaOptions options, Action<string, long, ReadOnlyMemory<byte>> take, CancellationToken cancellationToken)
    {
        string? trouble = null;
        try
        {
            var settings = KafkaSettings.Create(options, new FileWatch());
            // The client asks for a group also where no offsets are stored.
            settings["group.id"] = "podnet-exporter-reader";
            settings["enable.auto.commit"] = "false";
            using var consumer = new ConsumerBuilder<Ignore, byte[]>(settings)
                .SetLogHandler(static (_, _) => { })
                .SetErrorHandler((_, error) => trouble = error.Reason)
                .Build();
            var ends = FindEnds(consumer, options.Topic);
            consumer.Assign(ends.Keys.Select(partition => new TopicPartitionOffset(partition, Offset.Beginning)));
            while (ends.Count > 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var message = consumer.Consume(Patience)
                    ?? throw new SinkException(string.Create(CultureInfo.InvariantCulture, $"{Named(options)}: no message came for {Patience.TotalSeconds} s, and {ends.Count} partitions are not read to their ends{Reason(trouble)}. Look whether all brokers run"));
                if (!ends.TryGetValue(message.TopicPartition, out var end))
                {
                    continue;
                }
                if (message.Offset < end.Offset)
                {
                    take(end.Name, message.Offset.Value, message.Message.Value);
                }
                if (message.Offset + 1 >= end.Offset)
                {
                    ends.Remove(message.TopicPartition);
                }
            }
            consumer.Close();
        }
        catch (KafkaException e)
        {
            throw new SinkException($"{Named(options)}: {PlainWords.Reason(e)}{Reason(trouble)}. Look whether the brokers run and whether the user may read the topic", e);
        }
        catch (Exception e) when (KafkaSettings.IsRefusal(e))
        {
            throw KafkaSettings.Refusal(e);
        }
    }

    /// <summary>The name of each partition that has messages, and the offset behind its last one.</summary>
    private static Dictionary<TopicPartition, (string Name, Offset Offset)> FindEnds(IConsumer<Ignore, byte[]> consumer, string topic)
    {
        using var client = new DependentAdminClientBuilder(consumer.Handle).Build();
        var found = client.GetMetadata(topic, Patience).Topics.Single();
        if (found.Error.IsError)
        {
            throw new KafkaException(found.Error);
        }
        var ends = new Dictionary<TopicPartition, (string, Offset)>();
        foreach (var partition in found.Partitions.Select(partition => new TopicPartition(topic, partition.PartitionId)))
        {
            var offsets = consumer.QueryWatermarkOffsets(partition, Patience);
            if (offsets.High > offsets.Low)
            {
                ends[partition] = (string.Create(CultureInfo.InvariantCulture, $"{topic}[{partition.Partition.Value}]"), offsets.High);
            }
        }
        return ends;
    }

    private static string Named(KafkaOptions options) => $"{options.Topic} on {string.Join(',', options.Brokers)}";

    private static string Reason(string? trouble) => trouble is null ? "" : $" ({trouble})";
}
