namespace Exporter.Export.Kafka;

/// <summary>A topic as it is made.</summary>
/// <param name="Replication">-1: as the brokers' default.replication.factor has it.</param>
/// <param name="Retention">How long the brokers keep its records.</param>
internal sealed record KafkaTopic(string Name, int Partitions, short Replication, TimeSpan Retention);
