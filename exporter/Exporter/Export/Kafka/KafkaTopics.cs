using System.Globalization;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Exporter.Health;

namespace Exporter.Export.Kafka;

/// <summary>Makes topics, and has those that are there append records with the time of the append. It can be run again at any time.</summary>
internal static class KafkaTopics
{
    /// <summary>The jobs bound the clocks of nodes by the time of the append.</summary>
    private const string TimestampType = "message.timestamp.type";
    private const string AppendTime = "LogAppendTime";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>A topic's settings when it is made.</summary>
    internal static Dictionary<string, string> SettingsOf(KafkaTopic topic) => new(StringComparer.Ordinal)
    {
        [TimestampType] = AppendTime,
        ["retention.ms"] = ((long)topic.Retention.TotalMilliseconds).ToString(CultureInfo.InvariantCulture),
        ["cleanup.policy"] = "delete",
    };

    /// <param name="say">Gets a line for each topic: what was done.</param>
    /// <exception cref="SinkException">The brokers do not answer or refuse; what was done before stays.</exception>
    internal static async Task InstallAsync(KafkaOptions options, IReadOnlyList<KafkaTopic> topics, Action<string> say)
    {
        string? trouble = null;
        try
        {
            using var client = new AdminClientBuilder(KafkaSettings.Create(options, new FileWatch()))
                .SetLogHandler(static (_, _) => { })
                .SetErrorHandler((_, error) => trouble = error.Reason)
                .Build();
            // All topics: a question for one topic by name can make it.
            var present = client.GetMetadata(Patience).Topics.ToDictionary(topic => topic.Topic, topic => topic.Partitions.Count, StringComparer.Ordinal);
            foreach (var topic in topics)
            {
                say(present.TryGetValue(topic.Name, out var partitions) ? await AdjustAsync(client, topic, partitions) : await CreateAsync(client, topic));
            }
        }
        catch (Exception e) when (e is CreateTopicsException or DescribeConfigsException or IncrementalAlterConfigsException or KafkaException)
        {
            var reason = e switch
            {
                CreateTopicsException creation => creation.Results.First(result => result.Error.IsError).Error.Reason,
                DescribeConfigsException description => description.Results.First(result => result.Error.IsError).Error.Reason,
                IncrementalAlterConfigsException alteration => alteration.Results.First(result => result.Error.IsError).Error.Reason,
                _ => PlainWords.Reason(e),
            };
            throw new SinkException($"{string.Join(',', options.Brokers)}: {reason}{(trouble is null ? "" : $" ({trouble})")}. Look whether the brokers run and whether the user may create and alter topics", e);
        }
        catch (Exception e) when (KafkaSettings.IsRefusal(e))
        {
            throw KafkaSettings.Refusal(e);
        }
    }

    private static async Task<string> CreateAsync(IAdminClient client, KafkaTopic topic)
    {
        var specification = new TopicSpecification { Name = topic.Name, NumPartitions = topic.Partitions, ReplicationFactor = topic.Replication, Configs = SettingsOf(topic) };
        await client.CreateTopicsAsync([specification], new() { RequestTimeout = Patience, OperationTimeout = Patience });
        return FormattableString.Invariant($"{topic.Name}: made, with {topic.Partitions} partitions");
    }

    /// <summary>Partitions and retention stay: more partitions would move keys, and the retention may be the operator's choice.</summary>
    private static async Task<string> AdjustAsync(IAdminClient client, KafkaTopic topic, int partitions)
    {
        var resource = new ConfigResource { Type = ResourceType.Topic, Name = topic.Name };
        var described = await client.DescribeConfigsAsync([resource], new() { RequestTimeout = Patience });
        var has = described[0].Entries.TryGetValue(TimestampType, out var entry) ? entry.Value : "";
        if (has == AppendTime)
        {
            return FormattableString.Invariant($"{topic.Name}: is there, with {partitions} partitions");
        }
        var change = new Dictionary<ConfigResource, List<ConfigEntry>>
        {
            [resource] = [new ConfigEntry { Name = TimestampType, Value = AppendTime, IncrementalOperation = AlterConfigOpType.Set }],
        };
        await client.IncrementalAlterConfigsAsync(change, new() { RequestTimeout = Patience });
        return FormattableString.Invariant($"{topic.Name}: was there, with {partitions} partitions; {TimestampType} is {AppendTime} now");
    }
}
