using Exporter.Export;
using Exporter.Export.Kafka;
using Microsoft.Extensions.Logging;

namespace Exporter.Engine.Tests.Support;

/// <summary>The sink kafka with options of a test.</summary>
internal static class KafkaSinks
{
    internal const string Topic = "podnet.flows";

    /// <summary>How long a record waits for an acknowledgement in tests of troubles that last: the sink's own minute is too long for many of them.</summary>
    internal const string Impatient = "message.timeout.ms=3000";

    /// <summary>Options for a broker that is spoken to without TLS or passwords.</summary>
    internal static KafkaOptions OptionsOf(KafkaBroker broker, params string[] properties) => OptionsOf(broker.BootstrapServers, properties);

    /// <param name="brokers">HOST:PORT, separated by commas.</param>
    internal static KafkaOptions OptionsOf(string brokers, params string[] properties) =>
        new(brokers.Split(','), Topic, KafkaCompression.Lz4, KafkaSecurity.Plaintext, "SCRAM-SHA-512", "", "", "", "", "", properties);

    internal static Func<ILogger, IRecordSink> Open(KafkaOptions options) => logger => new KafkaSink(options, TimeProvider.System, logger);

    /// <summary>The records of the topic, from its beginning.</summary>
    internal static IEnumerable<string> ReadAll(KafkaBroker broker) => TopicReader.ReadAll(broker, Topic).Select(record => record.Value!);
}
