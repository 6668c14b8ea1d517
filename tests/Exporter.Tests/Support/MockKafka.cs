using System.Reflection;
using System.Runtime.InteropServices;
using Confluent.Kafka;

namespace Exporter.Tests.Support;

/// <summary>Brokers of librdkafka's own mock cluster (rdkafka_mock.h), on ports of this host, with one topic.</summary>
internal sealed class MockKafka : IDisposable
{
    internal const string Topic = "podnet.flows";

    /// <summary>Kafka's numbers of requests.</summary>
    internal const short Produce = 0;
    internal const short Metadata = 3;
    internal const short InitProducerId = 22;

    private const string Library = "mocked-librdkafka";

    private readonly IProducer<Null, Null> _owner;
    private readonly IntPtr _cluster;
    private readonly int _brokers;

    static MockKafka() => NativeLibrary.SetDllImportResolver(typeof(MockKafka).Assembly, static (name, assembly, _) => name != Library
        ? IntPtr.Zero
        : NativeLibrary.TryLoad("librdkafka", assembly, null, out var handle) ? handle : NativeLibrary.Load("centos8-librdkafka", assembly, null));

    internal MockKafka(int brokers = 1, int partitions = 4)
    {
        (_brokers, Partitions) = (brokers, partitions);
        _owner = new ProducerBuilder<Null, Null>(new Dictionary<string, string> { ["test.mock.num.brokers"] = $"{brokers}" }).SetLogHandler(static (_, _) => { }).Build();
        // The client has no call for it.
        var handle = (SafeHandle)typeof(Handle).GetProperty("LibrdkafkaHandle", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(_owner.Handle)!;
        _cluster = rd_kafka_handle_mock_cluster(handle.DangerousGetHandle());
        Brokers = Marshal.PtrToStringUTF8(rd_kafka_mock_cluster_bootstraps(_cluster))!.Split(',');
        Assert.Equal(0, rd_kafka_mock_topic_create(_cluster, Topic, partitions, brokers));
    }

    internal IReadOnlyList<string> Brokers { get; }

    internal int Partitions { get; }

    public void Dispose() => _owner.Dispose();

    /// <summary>The next requests of a kind are answered with these errors, one each.</summary>
    internal void Refuse(short request, params ErrorCode[] errors) =>
        rd_kafka_mock_push_request_errors_array(_cluster, request, (UIntPtr)errors.Length, [.. errors.Select(error => (int)error)]);

    /// <summary>The next request of a kind to the first broker is done, and answered so much later.</summary>
    internal void Delay(short request, TimeSpan delay) =>
        Assert.Equal(0, rd_kafka_mock_broker_push_request_error_rtts(_cluster, 1, request, 1, (int)ErrorCode.NoError, (int)delay.TotalMilliseconds));

    internal void SetAway(bool isAway)
    {
        for (var broker = 1; broker <= _brokers; broker++)
        {
            Assert.Equal(0, isAway ? rd_kafka_mock_broker_set_down(_cluster, broker) : rd_kafka_mock_broker_set_up(_cluster, broker));
        }
    }

    /// <summary>Appends records to the topic, to one partition after the other.</summary>
    internal void Append(IReadOnlyList<string> values)
    {
        using var producer = new ProducerBuilder<Null, string>(new ProducerConfig { BootstrapServers = string.Join(',', Brokers) }).SetLogHandler(static (_, _) => { }).Build();
        foreach (var (value, i) in values.Select((value, i) => (value, i)))
        {
            producer.Produce(new TopicPartition(Topic, i % Partitions), new() { Value = value });
        }
        producer.Flush(Silence.Limit);
    }

    /// <summary>Reads the topic from its beginning until there are so many records.</summary>
    internal List<(string Key, string Value, int Partition)> Read(int count) => ReadUntil(records => records.Count >= count);

    /// <summary>Reads the topic from its beginning until these are all that is wanted: some may be there twice.</summary>
    internal List<(string Key, string Value, int Partition)> ReadUntil(Func<List<(string Key, string Value, int Partition)>, bool> isAll)
    {
        using var consumer = new ConsumerBuilder<string, string>(new ConsumerConfig { BootstrapServers = string.Join(',', Brokers), GroupId = "test" }).SetLogHandler(static (_, _) => { }).Build();
        consumer.Assign(Enumerable.Range(0, Partitions).Select(partition => new TopicPartitionOffset(Topic, partition, Offset.Beginning)));
        var records = new List<(string Key, string Value, int Partition)>();
        while (!isAll(records))
        {
            var result = consumer.Consume(Silence.Limit);
            Assert.NotNull(result);
            records.Add((result.Message.Key, result.Message.Value, result.Partition.Value));
        }
        return records;
    }

#pragma warning disable SA1300, CA2101 // Names of C, whose strings are UTF-8.
    [DllImport(Library)]
    private static extern IntPtr rd_kafka_handle_mock_cluster(IntPtr client);

    [DllImport(Library)]
    private static extern IntPtr rd_kafka_mock_cluster_bootstraps(IntPtr cluster);

    [DllImport(Library)]
    private static extern int rd_kafka_mock_topic_create(IntPtr cluster, [MarshalAs(UnmanagedType.LPUTF8Str)] string topic, int partitions, int replication);

    [DllImport(Library)]
    private static extern void rd_kafka_mock_push_request_errors_array(IntPtr cluster, short request, UIntPtr count, int[] errors);

    [DllImport(Library)]
    private static extern int rd_kafka_mock_broker_push_request_error_rtts(IntPtr cluster, int broker, short request, nuint count, int error, int milliseconds);

    [DllImport(Library)]
    private static extern int rd_kafka_mock_broker_set_down(IntPtr cluster, int broker);

    [DllImport(Library)]
    private static extern int rd_kafka_mock_broker_set_up(IntPtr cluster, int broker);
#pragma warning restore SA1300, CA2101
}
