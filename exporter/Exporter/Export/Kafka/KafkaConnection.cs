using Confluent.Kafka;

namespace Exporter.Export.Kafka;

/// <summary>A producer of librdkafka, with its threads, and its last trouble.</summary>
internal sealed class KafkaConnection : IDisposable
{
    private readonly IProducer<int, int> _producer;
    private readonly string _topic;
    private readonly Action<DeliveryReport<int, int>> _report;
    private readonly RecordBytes _key = new(128);
    private readonly RecordBytes _value = new(2048);

    /// <summary>The client takes what it needs from it in each call.</summary>
    private readonly Message<int, int> _message = new();

    private volatile string? _problem;
    private volatile bool _isFatal;

    /// <param name="report">Called on the client's threads with the record's number as the value.</param>
    /// <param name="failed">Called on them with each trouble with brokers.</param>
    /// <exception cref="InvalidOperationException">The client refuses the settings; see <see cref="KafkaSettings.IsRefusal"/> for the others.</exception>
    internal KafkaConnection(
        IReadOnlyDictionary<string, string> settings, string topic, Action<DeliveryReport<int, int>> report, Action<LogMessage> log, Action<Error> failed)
    {
        (_topic, _report) = (topic, report);
        _producer = new ProducerBuilder<int, int>(settings)
            .SetKeySerializer(_key)
            .SetValueSerializer(_value)
            .SetLogHandler((_, message) => log(message))
            .SetErrorHandler((_, error) =>
            {
                (_problem, _isFatal) = (error.Reason, _isFatal || error.IsFatal);
                failed(error);
            })
            .Build();
    }

    /// <summary>The last trouble with brokers since the last acknowledgement; null: there was none.</summary>
    internal string? Problem => _problem;

    /// <summary>Whether the producer takes nothing more: the brokers know its sequence no more.</summary>
    internal bool IsFatal => _isFatal;

    public void Dispose() => _producer.Dispose();

    internal void ForgetProblem() => _problem = null;

    /// <summary>Puts a record into the client's queue, which copies it.</summary>
    /// <returns>Why it did not.</returns>
    internal ErrorCode Produce(int number, in ExportRecord record)
    {
        _key.Set(record.Key);
        // The line's end is a matter of files.
        _value.Set(record.Line[..^1]);
        _message.Value = number;
        try
        {
            _producer.Produce(_topic, _message, _report);
            return ErrorCode.NoError;
        }
        catch (ProduceException<int, int> e)
        {
            _isFatal |= e.Error.IsFatal || e.Error.Code == ErrorCode.Local_Fatal;
            return e.Error.Code;
        }
    }

    /// <summary>Has the queue sent without the pause in which records are gathered.</summary>
    /// <param name="most">The longest wait for it to be empty.</param>
    internal void Flush(TimeSpan most) => _producer.Flush(most);
}
