using System.Globalization;
using Confluent.Kafka;
using Exporter.Health;

namespace Exporter.Export.Kafka;

/// <summary>
/// Produces records to a topic, each with its key. Acknowledged are those that the brokers have appended, with acks=all on all replicas in sync; the producer
/// is idempotent, so that a repeat within it is not appended twice. A batch is handed to the client whole, and ends when each record has its report.
/// </summary>
internal sealed partial class KafkaSink : IRecordSink, IDisposable
{
    /// <summary>How long a batch keeps a thread, and how long a full queue is waited for at a time.</summary>
    private static readonly TimeSpan FlushTime = TimeSpan.FromMilliseconds(50);

    /// <summary>The sizes of sets in which records are sent that were refused together.</summary>
    private static readonly int[] Separations = [16, 1];

    private static readonly TimeSpan FilesPause = TimeSpan.FromSeconds(1);

    /// <summary>How much longer than message.timeout.ms reports are waited for.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromMinutes(1);

    private readonly KafkaOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly KafkaLog _log;
    private readonly HashSet<ErrorCode> _rejections = [];

    /// <summary>What to do about refused sets, as far as it was logged.</summary>
    private readonly HashSet<string> _separating = new(StringComparer.Ordinal);

    private KafkaDelivery _delivery = new();
    private KafkaConnection? _connection;

    /// <summary>How long the client may keep silent about records.</summary>
    private TimeSpan _patience;
    private FileWatch _files = new();
    private long _filesAt;

    internal KafkaSink(KafkaOptions options, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        _log = new(time, logger);
    }

    public string Name => KafkaOptions.SinkName;

    /// <summary>Ends the client's threads. Records that have no report then may have been appended.</summary>
    public void Dispose() => Disconnect();

    public ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken) => new(Task.Run(() => DeliverAsync(batch, cancellationToken), CancellationToken.None));

    private async Task DeliverAsync(RecordBatch batch, CancellationToken cancellationToken)
    {
        var connection = Connect();
        _delivery.Begin(batch);
        Send(connection, batch, 0, batch.Count, cancellationToken);
        await ArriveAsync(cancellationToken);
        await SeparateAsync(connection, batch, cancellationToken);
        Settle(connection, batch);
    }

    /// <summary>Waits for the reports on all records that were sent.</summary>
    /// <exception cref="SinkException">Another producer has taken the place of the one that was waited for.</exception>
    private async Task ArriveAsync(CancellationToken cancellationToken)
    {
        var since = _time.GetTimestamp();
        while (true)
        {
            try
            {
                await _delivery.Arrived.WaitAsync(FilesPause, _time, cancellationToken);
                return;
            }
            catch (TimeoutException e)
            {
                if (_delivery.Arrived.IsCompleted)
                {
                    return;
                }
                if (TryReplace())
                {
                    throw new SinkException("a file of the options of Kafka has changed; another producer sends the records again", e);
                }
                if (_time.GetElapsedTime(since) > _patience)
                {
                    Abandon();
                    throw new SinkException("the Kafka client reports nothing for longer than message.timeout.ms, as after this node's clock was set back; another producer sends the records again", e);
                }
            }
        }
    }

    /// <summary>
    /// Brokers refuse a set of records because of its size or because of one of them. The records are sent in smaller sets, and then one by one; a record that is
    /// refused alone is rejected.
    /// </summary>
    private async Task SeparateAsync(KafkaConnection connection, RecordBatch batch, CancellationToken cancellationToken)
    {
        foreach (var most in Separations)
        {
            var next = 0;
            while (!_delivery.HasTrouble && _delivery.NextOpen(next) is >= 0 and var record)
            {
                var code = _delivery.CodeOf(record);
                next = Send(connection, batch, record, most, cancellationToken);
                await ArriveAsync(cancellationToken);
                if (most == 1 && !_delivery.HasTrouble && _delivery.IsOpen(record))
                {
                    _delivery.Reject(record);
                }
                // Of many refused times the client says no more than that the records are invalid; the reason is known when one is sent alone.
                if (!_delivery.IsOpen(record) && _separating.Add(KafkaErrors.RemedyOfSet(code)))
                {
                    LogSeparating(_logger, _options.Topic, KafkaErrors.Describe(code), KafkaErrors.RemedyOfSet(code));
                }
            }
        }
    }

    /// <summary>The producer; another one when a file of the options has changed.</summary>
    /// <exception cref="SinkException">There is none.</exception>
    private KafkaConnection Connect()
    {
        TryReplace();
        try
        {
            return _connection ??= Open();
        }
        catch (Exception e) when (KafkaSettings.IsRefusal(e))
        {
            throw KafkaSettings.Refusal(e, "; correct the files that the options of Kafka name");
        }
    }

    /// <summary>Makes another producer if a file of the options has changed. If the files cannot be used, the previous one is kept.</summary>
    private bool TryReplace()
    {
        if (_connection is not { } previous || _time.GetElapsedTime(_filesAt) < FilesPause)
        {
            return false;
        }
        _filesAt = _time.GetTimestamp();
        if (!_files.HaveChanged())
        {
            return false;
        }
        try
        {
            _connection = Open();
            previous.Dispose();
            _log.Recover();
            LogReplaced(_logger);
            return true;
        }
        catch (Exception e) when (KafkaSettings.IsRefusal(e))
        {
            LogKept(_logger, KafkaSettings.Explain(e));
            return false;
        }
    }

    private KafkaConnection Open()
    {
        _files = new();
        _filesAt = _time.GetTimestamp();
        var settings = KafkaSettings.CreateForProducer(_options, _files);
        // 0 is without end.
        _patience = int.TryParse(settings["message.timeout.ms"], CultureInfo.InvariantCulture, out var timeout) && timeout > 0 ? TimeSpan.FromMilliseconds(timeout) + Margin : TimeSpan.MaxValue;
        return new(settings, _options.Topic, _delivery.Report, _log.Write, _log.Fail);
    }

    /// <summary>
    /// Gives up a client that reports nothing. It waits by the clock of the node: where that is set back, for as long as it was set back, also when it is removed.
    /// What it reports later is of no use, so it keeps the delivery that it knows.
    /// </summary>
    private void Abandon()
    {
        var abandoned = _connection;
        (_connection, _delivery) = (null, new());
        new Thread(() => abandoned?.Dispose()) { IsBackground = true, Name = "abandoned kafka client" }.Start();
    }

    private void Disconnect()
    {
        _connection?.Dispose();
        _connection = null;
    }

    /// <summary>Hands the client open records of a batch, and has them sent at once: the next ones come after these only.</summary>
    /// <param name="from">The number of the first record.</param>
    /// <param name="most">The most records.</param>
    /// <returns>The number behind the last one.</returns>
    private int Send(KafkaConnection connection, RecordBatch batch, int from, int most, CancellationToken cancellationToken)
    {
        _delivery.Open();
        var number = 0;
        var sent = 0;
        foreach (var record in batch)
        {
            if (sent == most)
            {
                break;
            }
            if (number >= from && _delivery.IsOpen(number))
            {
                _delivery.Send();
                Enqueue(connection, number, record, cancellationToken);
                sent++;
            }
            number++;
        }
        _delivery.Close();
        connection.Flush(FlushTime);
        return number;
    }

    /// <summary>Waits while the client's queue is full.</summary>
    private void Enqueue(KafkaConnection connection, int number, in ExportRecord record, CancellationToken cancellationToken)
    {
        while (true)
        {
            switch (connection.Produce(number, record))
            {
                case ErrorCode.NoError:
                    return;
                case ErrorCode.Local_QueueFull:
                    cancellationToken.ThrowIfCancellationRequested();
                    connection.Flush(FlushTime);
                    break;
                // The client knows the record's own size.
                case ErrorCode.MsgSizeTooLarge or ErrorCode.InvalidMsgSize:
                    _delivery.Reject(number);
                    _delivery.Fail(number, ErrorCode.MsgSizeTooLarge);
                    return;
                case var code:
                    _delivery.Fail(number, code);
                    return;
            }
        }
    }

    /// <summary>Notes the rejected records, when all others are acknowledged.</summary>
    /// <exception cref="SinkException">Some are not.</exception>
    private void Settle(KafkaConnection connection, RecordBatch batch)
    {
        if (_delivery.FirstProblem() is { } problem)
        {
            if (connection.FatalProblem is { } fatal)
            {
                Disconnect();
                throw new SinkException($"the idempotent producer failed ({fatal}); another one sends the records again");
            }
            var (cause, words) = _log.CauseOf(problem);
            throw new SinkException(KafkaErrors.Explain(cause, _options, words));
        }
        _log.Recover();
        var number = 0;
        foreach (var record in batch)
        {
            if (_delivery.IsRejected(number))
            {
                batch.Reject(record);
                if (_rejections.Add(_delivery.CodeOf(number)))
                {
                    LogRejected(_logger, record.Line.Length, KafkaErrors.Describe(_delivery.CodeOf(number)), KafkaErrors.Remedy(_delivery.CodeOf(number)));
                }
            }
            number++;
        }
    }

    [LoggerMessage(530, LogLevel.Warning, "Kafka does not accept a record of {Bytes} bytes: {Reason}. It is counted as rejected, as are further ones. {Remedy}")]
    private static partial void LogRejected(ILogger logger, int bytes, string reason, string remedy);

    [LoggerMessage(533, LogLevel.Warning, "Kafka refuses sets of records of the topic {Topic}: {Reason}. They are sent again in smaller sets, which is slow. {Remedy}")]
    private static partial void LogSeparating(ILogger logger, string topic, string reason, string remedy);

    [LoggerMessage(531, LogLevel.Information, "A file of the options of Kafka has changed; connecting to the brokers with its content")]
    private static partial void LogReplaced(ILogger logger);

    [LoggerMessage(532, LogLevel.Error, "A file of the options of Kafka has changed and cannot be used, keeping the previous content: {Reason}. Correct the file")]
    private static partial void LogKept(ILogger logger, string reason);
}
