using Confluent.Kafka;

namespace Exporter.Export.Kafka;

/// <summary>A producer of librdkafka, with its threads.</summary>
internal sealed class KafkaConnection : IDisposable
{
    private readonly IProducer<int, int> _producer;
    private readonly string _topic;
    private readonly Action<DeliveryReport<int, int>> _report;
    private readonly RecordBytes _key = new(128);
    private readonly RecordBytes _value = new(2048);

    /// <summary>The client takes what it needs from it in each call.</summary>
    private readonly Message<int, int> _message = new();

    private volatile string? _fatalProblem;

    /// <param name="report">Called on the client's threads with the record's number as the value.</param>
    /// <param name="failed">Called on them with each trouble with brokers.</param>
    /// <exception cref="InvalidOperationException">The client refuses the settings; see <see cref="KafkaSettings.IsRefusal"/> for the others.</exception>
    internal KafkaConnection(
        IReadOnlyDictionary<string, string> settings, string topic, Action<DeliveryReport<int, int>> report, Action<LogMessage> log, Action<Error> failed)
    {
        _topic = topic;
        _report = delivered =>
        {
            NoteFatal(delivered.Error);
            report(delivered);
        };
        _producer = new ProducerBuilder<int, int>(settings)
            .SetKeySerializer(_key)
            .SetValueSerializer(_value)
            .SetLogHandler((_, message) => log(message))
            .SetErrorHandler((_, error) =>
            {
                NoteFatal(error);
                failed(error);
            })
            .Build();
    }

    /// <summary>Why the producer takes nothing more, as that the brokers know its sequence no more; null: it does.</summary>
    internal string? FatalProblem => _fatalProblem;

    public void Dispose() => _producer.Dispose();

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
            NoteFatal(e.Error);
            return e.Error.Code;
        }
    }

    /// <summary>Has the queue sent without the pause in which records are gathered.</summary>
    /// <param name="most">The longest wait for it to be empty.</param>
    internal void Flush(TimeSpan most) => _producer.Flush(most);

    /// <summary>Called by any thread. Reports on records may come before the error itself, which has the better reason.</summary>
    private void NoteFatal(Error error)
    {
        if (KafkaErrors.IsFatal(error) && (_fatalProblem is null || error.IsFatal))
        {
            _fatalProblem = error.Reason;
        }
    }
}
