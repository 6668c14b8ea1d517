namespace Exporter.Export;

/// <summary>How sets of messages are compressed on their way to the brokers, and there.</summary>
internal enum KafkaCompression
{
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}
