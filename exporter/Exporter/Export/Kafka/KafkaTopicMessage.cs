namespace Exporter.Export.Kafka;

/// <summary>A message of a topic.</summary>
/// <param name="Partition">As TOPIC[NUMBER].</param>
/// <param name="Appended">When the broker appended it, in milliseconds since 1970; of a topic with CreateTime, when the client made it.</param>
/// <param name="Value">Empty: it has none.</param>
internal readonly record struct KafkaTopicMessage(string Partition, long Offset, long Appended, ReadOnlyMemory<byte> Value);
