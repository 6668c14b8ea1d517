using Confluent.Kafka;

namespace Exporter.Export.Kafka;

/// <summary>Errors of the client and of brokers: whose they are, and what to do.</summary>
internal static class KafkaErrors
{
    private const string LookAtTopic = "Look at the topic's cleanup.policy, which is to be delete, and at the brokers' log";

    /// <summary>
    /// Whether a set of records was refused because of one of them: each is sent alone then. An idempotent producer continues after it. (KIP-467 has
    /// INVALID_RECORD for the record, and the client its own code for the others of the set.)
    /// </summary>
    internal static bool IsOfSet(ErrorCode code) => code is ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidRecord or ErrorCode.Local_InvalidDifferentRecord or ErrorCode.InvalidMsgSize;

    /// <summary>
    /// The error's code. With TLS 1.3 brokers refuse a client's certificate when the connection stands already, and the client sees the alert as one more
    /// trouble with a connection.
    /// </summary>
    internal static ErrorCode CodeOf(Error error) =>
        error.Code == ErrorCode.Local_Transport && error.Reason.Contains("SSL alert", StringComparison.Ordinal) ? ErrorCode.Local_Ssl : error.Code;

    /// <summary>Whether the producer has failed for good: then it purges its queue, and nothing else does.</summary>
    internal static bool IsFatal(Error error) => error.IsFatal || error.Code is ErrorCode.Local_Fatal or ErrorCode.Local_PurgeQueue or ErrorCode.Local_PurgeInflight;

    /// <summary>Whether it is the reason of others, which come again until it is removed.</summary>
    internal static bool IsCause(ErrorCode code) => code is ErrorCode.Local_Authentication or ErrorCode.SaslAuthenticationFailed or ErrorCode.Local_Ssl or ErrorCode.Local_Resolve;

    /// <summary>Why records are not taken, and what to do.</summary>
    /// <param name="words">The client's, of its trouble with brokers; null: it had none.</param>
    internal static string Explain(ErrorCode code, KafkaOptions options, string? words) => code switch
    {
        ErrorCode.TopicAuthorizationFailed =>
            $"the user may not write to the topic {options.Topic}; give it the rights Write and Describe, or set Kafka:Topic to another",
        ErrorCode.ClusterAuthorizationFailed => "the user may not use an idempotent producer; give it the right IdempotentWrite on the cluster, or the right Write on the topic",
        ErrorCode.UnknownTopicOrPart or ErrorCode.Local_UnknownTopic or ErrorCode.Local_UnknownPartition =>
            $"there is no topic {options.Topic}; 'podnet-exporter flows install --to=kafka' makes it, or set Kafka:Topic to another",
        // A record's time is the client's when it takes the record, so another one would be refused as well.
        ErrorCode.InvalidTimestamp =>
            $"this node's clock and the brokers' differ by more than the topic {options.Topic} allows (message.timestamp.after.max.ms, message.timestamp.before.max.ms); correct this node's clock, or give the topic LogAppendTime with 'podnet-exporter flows install --to=kafka'",
        ErrorCode.NotEnoughReplicas or ErrorCode.NotEnoughReplicasAfterAppend => $"the topic {options.Topic} has fewer replicas in sync than its min.insync.replicas; look at its brokers",
        ErrorCode.KafkaStorageError => "a broker cannot write to its disk; look at its free space and its log",
        ErrorCode.SaslAuthenticationFailed or ErrorCode.Local_Authentication => $"the brokers do not accept the user or the password; correct {KafkaOptions.UserFileKey} and {KafkaOptions.PasswordFileKey}{Behind(words)}",
        ErrorCode.Local_Ssl => $"no TLS connection to the brokers; look at {KafkaOptions.CaFileKey}, at the dates of both ends' certificates, at {KafkaOptions.CertificateFileKey} and the brokers' names{Behind(words)}",
        ErrorCode.Local_Resolve => $"a broker's name has no address; correct {KafkaOptions.BrokersKey} or the brokers' advertised.listeners{Behind(words)}",
        // Of brokers that refuse a set for the time being, as without replicas in sync, the client says nothing: it tries again until the record's time is over.
        ErrorCode.Local_MsgTimedOut or ErrorCode.Local_TimedOut or ErrorCode.Local_AllBrokersDown or ErrorCode.Local_Transport =>
            $"the brokers do not acknowledge; look whether they run and whether the network lets this node reach all of them, whether the topic {options.Topic} has the replicas in sync that its min.insync.replicas asks for, and whether the brokers' disks have room{Behind(words)}",
        _ => $"the brokers refuse them ({Describe(code)}){Behind(words)}",
    };

    /// <summary>What to do about a record that is not accepted.</summary>
    internal static string Remedy(ErrorCode code) => IsSize(code)
        ? "Raise max.message.bytes of the topic, and message.max.bytes by Kafka:Properties where it is greater than 1000000"
        : LookAtTopic;

    /// <summary>What to do about sets of records that are refused for one of <see cref="IsOfSet"/>.</summary>
    internal static string RemedyOfSet(ErrorCode code) => IsSize(code) ? "Raise max.message.bytes of the topic, or lower batch.size by Kafka:Properties" : LookAtTopic;

    internal static string Describe(ErrorCode code) => new Error(code).Reason;

    private static bool IsSize(ErrorCode code) => code is ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidMsgSize;

    private static string Behind(string? words) => words is null ? "" : $" (the client: {words})";
}
