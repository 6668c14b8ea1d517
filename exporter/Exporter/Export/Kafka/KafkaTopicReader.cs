using System.Globalization;
using Confluent.Kafka;
using Exporter.Health;

namespace Exporter.Export.Kafka;

/// <summary>Reads the messages of a topic, for no consumer group: nothing that others see is changed.</summary>
internal static class KafkaTopicReader
{
    /// <summary>How long brokers may be silent.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Reads all messages that the topic has when it is called, each partition's in their order.</summary>
    /// <param name="options">With the topic.</param>
    /// <returns>
    /// The times between which all messages were read that were appended, as they have them: after From no partition lacks one at its beginning (MinValue: none lacks one
    /// at all, MaxValue: that is not known), and up to Until none lacks one at its end.
    /// </returns>
    /// <exception cref="SinkException">The brokers do not answer or refuse, or have no such topic.</exception>
    internal static (long From, long Until) ReadAll(KafkaOptions options, Action<KafkaTopicMessage> take, CancellationToken cancellationToken)
    {
        string? trouble = null;
        try
        {
            var settings = KafkaSettings.Create(options, new FileWatch());
            // The client asks for a group also where no offsets are stored.
            settings["group.id"] = "podnet-exporter-reader";
            settings["enable.auto.commit"] = "false";
            // A segment may be deleted before it is read: the partition is read from the next one on then.
            settings["auto.offset.reset"] = "earliest";
            settings["enable.partition.eof"] = "true";
            using var consumer = new ConsumerBuilder<Ignore, byte[]>(settings)
                .SetLogHandler(static (_, _) => { })
                .SetErrorHandler((_, error) => trouble = error.Reason)
                .Build();
            var times = Read(consumer, options, take, () => trouble, cancellationToken);
            consumer.Close();
            return times;
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

    private static (long From, long Until) Read(
        IConsumer<Ignore, byte[]> consumer, KafkaOptions options, Action<KafkaTopicMessage> take, Func<string?> trouble, CancellationToken cancellationToken)
    {
        var (from, until) = (long.MinValue, long.MinValue);
        var partitions = FindPartitions(consumer, options.Topic);
        // A message that is there when all ends have been asked for is before each end that is asked for afterwards.
        var common = FindOffsets(consumer, partitions);
        var open = FindOffsets(consumer, partitions);
        var unread = open.Keys.ToHashSet();
        foreach (var (partition, offsets) in open.Where(partition => partition.Value.High <= partition.Value.Low))
        {
            from = offsets.Low > 0 ? long.MaxValue : from;
            open.Remove(partition);
        }
        consumer.Assign(open.Keys.Select(partition => new TopicPartitionOffset(partition, Offset.Beginning)));
        while (open.Count > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var message = consumer.Consume(Patience)
                ?? throw new SinkException(string.Create(CultureInfo.InvariantCulture, $"{Named(options)}: no message came for {Patience.TotalSeconds} s, and {open.Count} partitions are not read to their ends{Reason(trouble())}. Look whether all brokers run"));
            if (!open.TryGetValue(message.TopicPartition, out var offsets))
            {
                continue;
            }
            var appended = message.IsPartitionEOF ? long.MaxValue : message.Message.Timestamp.UnixTimestampMs;
            if (unread.Remove(message.TopicPartition) && message.Offset > 0)
            {
                from = Math.Max(from, appended);
            }
            if (!message.IsPartitionEOF && message.Offset < offsets.High)
            {
                until = message.Offset < common[message.TopicPartition].High ? Math.Max(until, appended) : until;
                take(new(NameOf(message.TopicPartition), message.Offset.Value, appended, message.Message.Value));
            }
            if (message.IsPartitionEOF || message.Offset + 1 >= offsets.High)
            {
                open.Remove(message.TopicPartition);
            }
        }
        return (from, until);
    }

    private static TopicPartition[] FindPartitions(IConsumer<Ignore, byte[]> consumer, string topic)
    {
        using var client = new DependentAdminClientBuilder(consumer.Handle).Build();
        var found = client.GetMetadata(topic, Patience).Topics.Single();
        return found.Error.IsError ? throw new KafkaException(found.Error) : [.. found.Partitions.Select(partition => new TopicPartition(topic, partition.PartitionId))];
    }

    /// <summary>Of each partition the first offset, and the one behind the last.</summary>
    private static Dictionary<TopicPartition, WatermarkOffsets> FindOffsets(IConsumer<Ignore, byte[]> consumer, IEnumerable<TopicPartition> partitions) =>
        partitions.ToDictionary(partition => partition, partition => consumer.QueryWatermarkOffsets(partition, Patience));

    private static string NameOf(TopicPartition partition) => string.Create(CultureInfo.InvariantCulture, $"{partition.Topic}[{partition.Partition.Value}]");

    private static string Named(KafkaOptions options) => $"{options.Topic} on {string.Join(',', options.Brokers)}";

    private static string Reason(string? trouble) => trouble is null ? "" : $" ({trouble})";
}
