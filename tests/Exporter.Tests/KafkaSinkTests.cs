using Confluent.Kafka;
using Exporter.Export;
using Exporter.Export.Kafka;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

public sealed class KafkaSinkTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly RecordingLogger<KafkaSink> _logger = new();
    private readonly ExportedLines _lines = new(new FakeTimeProvider(), 16, ExportRing.BlockBytes, ("kafka", default));
    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-kafka-").FullName;
    private readonly List<IDisposable> _open = [];

    public void Dispose()
    {
        _open.Reverse();
        _open.ForEach(open => open.Dispose());
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Records_arrive_once_with_their_keys_and_a_key_keeps_its_order()
    {
        var brokers = Start(brokers: 3);
        var sink = Open(brokers);
        for (var i = 0; i < 3; i++)
        {
            _lines.Fill(100);
            await _lines.WriteAllAsync(sink);
        }

        var records = brokers.Read(303);

        Assert.Equal(Enumerable.Range(0, 300).Select(number => ($"key {number}", $"Flow {number} ")).ToHashSet(), records.Where(record => record.Key != "node-0").Select(record => (record.Key, record.Value)).ToHashSet());
        var closing = records.Where(record => record.Key == "node-0").ToList();
        Assert.Equal(["end 1 kafka 100", "end 2 kafka 100", "end 3 kafka 100"], closing.Select(record => record.Value[..15]));
        Assert.Single(closing.Select(record => record.Partition).Distinct());
        Assert.Equal(brokers.Partitions, records.Select(record => record.Partition).Distinct().Count());
        Assert.All(records.GroupBy(record => record.Partition), partition =>
        {
            var numbers = partition.Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().ToList();
            Assert.Equal(numbers.Order(), numbers);
        });
        Assert.Equal((300, 0, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost, _lines[0].Counts.UnderWay));
    }

    [Fact]
    public async Task A_request_that_timed_out_after_it_was_appended_is_sent_again_and_loses_nothing()
    {
        var brokers = Start(partitions: 1);
        var sink = Open(brokers, "socket.timeout.ms=1000", "request.timeout.ms=500");
        brokers.Delay(MockKafka.Produce, TimeSpan.FromSeconds(3));
        _lines.Fill(10);

        await _lines.WriteAllAsync(sink);

        // The mock cluster does not know a repeat by its sequence, as brokers do.
        var numbers = brokers.Read(21).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().ToList();
        Assert.Equal(Enumerable.Range(0, 10), numbers.Distinct());
        Assert.Equal((10, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost));
    }

    [Fact]
    public async Task A_record_that_is_larger_than_the_client_sends_is_rejected_alone()
    {
        var brokers = Start();
        var sink = Open(brokers, "message.max.bytes=1000");
        _lines.Begin();
        _lines.Append(3);
        _lines.Append(1, padding: 1500);
        _lines.Append(3);
        _lines.End();

        await _lines.WriteAllAsync(sink);

        Assert.Equal([0, 1, 2, 4, 5, 6], brokers.Read(7).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().Order());
        Assert.Equal((6, 1), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Rejected));
        Assert.Equal(1, _logger.CountOf("Kafka does not accept a record of 1508 bytes: Broker: Message size too large. It is counted as rejected"));
    }

    [Theory]
    [InlineData(ErrorCode.MsgSizeTooLarge, "Raise max.message.bytes of the topic, or lower batch.size", "Raise max.message.bytes of the topic, and message.max.bytes")]
    [InlineData(ErrorCode.InvalidRecord, "Look at the topic's cleanup.policy", "Look at the topic's cleanup.policy")]
    public async Task A_set_that_brokers_refuse_for_a_record_is_sent_record_by_record_and_one_is_rejected(ErrorCode error, string remedyOfSet, string remedy)
    {
        var brokers = Start(partitions: 1);
        var sink = Open(brokers);
        _lines.Fill(5);
        await _lines.WriteAllAsync(sink);
        _lines.Fill(5);
        // The set, a smaller one of as many, and its first record alone.
        brokers.Refuse(MockKafka.Produce, error, error, error);

        await _lines.WriteAllAsync(sink);

        Assert.Equal([0, 1, 2, 3, 4, 6, 7, 8, 9], brokers.Read(11).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>());
        Assert.Equal((9, 1), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Rejected));
        Assert.Equal(1, _logger.CountOf($"Kafka refuses sets of records of the topic podnet.flows: {new Error(error).Reason}. They are sent again in smaller sets, which is slow. {remedyOfSet}"));
        Assert.Equal(1, _logger.CountOf($"Kafka does not accept a record of 8 bytes: {new Error(error).Reason}. It is counted as rejected, as are further ones. {remedy}"));
    }

    [Fact]
    public async Task After_a_fatal_error_another_producer_sends_the_records()
    {
        var brokers = Start();
        brokers.Refuse(MockKafka.InitProducerId, ErrorCode.ClusterAuthorizationFailed);
        var sink = Open(brokers);
        _lines.Fill(5);
        var batch = _lines[0].TryRead()!;

        var failure = await Assert.ThrowsAsync<SinkException>(() => WriteAsync(sink, batch));
        Assert.Contains("another one sends the records again", failure.Message, StringComparison.Ordinal);
        batch.Restart();
        await WriteAsync(sink, batch);
        _lines[0].Settle(batch);
        await _lines.WriteAllAsync(sink);

        Assert.Equal(Enumerable.Range(0, 5), brokers.Read(6).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().Order());
        Assert.Equal((5, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost));
    }

    /// <summary>As the client is after the node's clock was set back: its waits are by that clock.</summary>
    [Fact]
    public async Task A_client_that_reports_nothing_is_given_up_and_another_one_sends_the_records()
    {
        var brokers = Start(partitions: 1);
        var sink = Open(brokers);
        _lines.Fill(5);
        await _lines.WriteAllAsync(sink);
        brokers.Delay(MockKafka.Produce, Silence.Limit);
        _lines.Fill(5);
        var batch = _lines[0].TryRead()!;

        var write = WriteAsync(sink, batch);
        while (!write.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken);
        }
        var failure = await Assert.ThrowsAsync<SinkException>(() => write);
        Assert.StartsWith("the Kafka client reports nothing for longer than message.timeout.ms", failure.Message, StringComparison.Ordinal);
        await RepeatAsync(sink, batch);

        Assert.Equal(Enumerable.Range(0, 10), Numbers(brokers.ReadUntil(records => Numbers(records).Count() >= 10)).Order());
        Assert.Equal((10, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost));
    }

    [Fact]
    public async Task A_full_queue_is_waited_for()
    {
        var brokers = Start();
        var sink = Open(brokers, "queue.buffering.max.messages=3");
        _lines.Fill(50);

        await _lines.WriteAllAsync(sink);

        Assert.Equal(Enumerable.Range(0, 50), brokers.Read(51).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().Order());
        Assert.Equal((50, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost));
    }

    [Fact]
    public async Task While_brokers_are_away_records_are_refused_with_the_reason_and_afterwards_those_that_are_open_are_sent()
    {
        var brokers = Start();
        var sink = Open(brokers, "message.timeout.ms=1000", "reconnect.backoff.max.ms=200");
        _lines.Fill(5);
        // On a slow machine the records are given up before the brokers have answered.
        await RepeatAsync(sink, _lines[0].TryRead()!);
        brokers.SetAway(true);
        _lines.Fill(5);
        var batch = _lines[0].TryRead()!;

        var failure = await Assert.ThrowsAsync<SinkException>(() => WriteAsync(sink, batch));
        Assert.StartsWith("the brokers do not acknowledge; look whether they run", failure.Message, StringComparison.Ordinal);
        Assert.Equal(5, _lines[0].Counts.UnderWay);
        Assert.NotEqual(0, _logger.CountOf("The Kafka client has trouble with the brokers: "));

        brokers.SetAway(false);
        await RepeatAsync(sink, batch);

        Assert.Equal(Enumerable.Range(0, 10), Numbers(brokers.ReadUntil(records => Numbers(records).Count() >= 10)).Order());
        Assert.Equal((10, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost));
    }

    [Theory]
    [InlineData(ErrorCode.TopicAuthorizationFailed, "the user may not write to the topic podnet.flows; give it the rights Write and Describe")]
    [InlineData(ErrorCode.InvalidTimestamp, "this node's clock and the brokers' differ by more than the topic podnet.flows allows")]
    [InlineData(ErrorCode.PolicyViolation, "the brokers refuse them (Broker: Policy violation)")]
    public async Task A_refusal_says_what_to_do_and_the_records_are_sent_again(ErrorCode error, string text)
    {
        var brokers = Start(partitions: 1);
        var sink = Open(brokers);
        brokers.Refuse(MockKafka.Produce, error);
        _lines.Fill(5);
        var batch = _lines[0].TryRead()!;

        var failure = await Assert.ThrowsAsync<SinkException>(() => WriteAsync(sink, batch));
        Assert.StartsWith(text, failure.Message, StringComparison.Ordinal);
        await RepeatAsync(sink, batch);

        Assert.Equal(Enumerable.Range(0, 5), brokers.Read(6).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>());
        Assert.Equal((5, 0), (_lines[0].Counts.Acknowledged, _lines[0].Counts.Lost));
    }

    /// <summary>The client repeats a set that was refused so, and says no more than that its time is over.</summary>
    [Theory]
    [InlineData(ErrorCode.NotEnoughReplicas)]
    [InlineData(ErrorCode.NotEnoughReplicasAfterAppend)]
    [InlineData(ErrorCode.KafkaStorageError)]
    public async Task A_refusal_that_the_client_does_not_name_is_among_the_reasons(ErrorCode error)
    {
        var brokers = Start(partitions: 1);
        var sink = Open(brokers, "message.timeout.ms=2000");
        brokers.Refuse(MockKafka.Produce, [.. Enumerable.Repeat(error, 100)]);
        _lines.Fill(5);

        var failure = await Assert.ThrowsAsync<SinkException>(() => WriteAsync(sink, _lines[0].TryRead()!));

        Assert.StartsWith("the brokers do not acknowledge; look whether they run", failure.Message, StringComparison.Ordinal);
        Assert.Contains("whether the topic podnet.flows has the replicas in sync that its min.insync.replicas asks for, and whether the brokers' disks have room", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_changed_file_makes_another_producer_and_one_that_cannot_be_read_does_not()
    {
        var brokers = Start();
        var file = Path.Combine(_directory, "ca.pem");
        await File.WriteAllTextAsync(file, "one", TestContext.Current.CancellationToken);
        // Without TLS the client does not look at the certificates.
        var sink = Open(OptionsOf(brokers) with { CaFile = file });
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);

        await File.WriteAllTextAsync(file, "two", TestContext.Current.CancellationToken);
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);
        Assert.Equal(0, _logger.CountOf("A file of the options of Kafka has changed"));
        _time.Advance(TimeSpan.FromSeconds(1));
        _lines.Fill(1);
        await _lines.WriteAllAsync(sink);
        Assert.Equal(1, _logger.CountOf("A file of the options of Kafka has changed; connecting"));

        File.Delete(file);
        for (var i = 0; i < 2; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            _lines.Fill(1);
            await _lines.WriteAllAsync(sink);
        }
        Assert.Equal(1, _logger.CountOf("A file of the options of Kafka has changed and cannot be used, keeping the previous content: there is no file"));
        Assert.Equal(Enumerable.Range(0, 5), brokers.Read(10).Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().Order());
    }

    [Fact]
    public async Task The_end_does_not_wait_for_brokers_that_are_away()
    {
        var brokers = Start();
        brokers.SetAway(true);
        var sink = Open(brokers);
        _lines.Fill(5);
        using var end = new CancellationTokenSource();

        var write = sink.WriteAsync(_lines[0].TryRead()!, end.Token).AsTask();
        await end.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write.WaitAsync(Silence.Limit));
    }

    private MockKafka Start(int brokers = 1, int partitions = 4)
    {
        var cluster = new MockKafka(brokers, partitions);
        _open.Add(cluster);
        return cluster;
    }

    private KafkaSink Open(MockKafka brokers, params string[] properties) => Open(OptionsOf(brokers, properties));

    private KafkaSink Open(KafkaOptions options)
    {
        var sink = new KafkaSink(options, _time, _logger);
        _open.Add(sink);
        return sink;
    }

    private static KafkaOptions OptionsOf(MockKafka brokers, params string[] properties) =>
        new(brokers.Brokers, MockKafka.Topic, KafkaCompression.Lz4, KafkaSecurity.Plaintext, "SCRAM-SHA-512", "", "", "", "", "", properties);

    /// <summary>As a cursor does after a failure.</summary>
    private async Task RepeatAsync(KafkaSink sink, RecordBatch batch)
    {
        while (true)
        {
            batch.Restart();
            try
            {
                await WriteAsync(sink, batch);
                break;
            }
            catch (SinkException)
            {
                // The client takes a while to ask for the topic again.
                await Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken);
            }
        }
        _lines[0].Settle(batch);
        await _lines.WriteAllAsync(sink);
    }

    /// <summary>Those of the records, each once.</summary>
    private static IEnumerable<int> Numbers(List<(string Key, string Value, int Partition)> records) =>
        records.Select(record => ExportedLines.NumberOf(record.Value)).OfType<int>().Distinct();

    private static Task WriteAsync(KafkaSink sink, RecordBatch batch) => sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask().WaitAsync(Silence.Limit);
}
