using System.Buffers;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Export.Kafka;
using Exporter.Options;
using Exporter.Records;
using Exporter.State;

namespace Exporter.Signals.Flows;

using LossReason = Exporter.Export.LossReason;

/// <summary>The sinks of one session, and the ring that records reach them by. It starts before the first interval, and ends after the last one.</summary>
internal sealed class FlowExport : BackgroundService, IClosingRecord
{
    private readonly FlowBook _book;
    private readonly Ledger _ledger;
    private readonly RecordObserver _observer;
    private readonly List<ExportCursor> _cursors = [];
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<string, (RecordWriter Writer, IntervalRecord Record)> _closing;

    /// <param name="fields">Those that flow and rest records have.</param>
    internal FlowExport(ExportOptions options, IReadOnlyList<RecordField> fields, FlowBook book, RecordObserver observer, SessionContext context)
    {
        Writer = new(fields);
        (_book, _ledger, _observer) = (book, context.Ledger, observer);
        Key = observer.NodeText.EncodedUtf8Bytes.ToArray();
        // A writer for each, since each cursor closes intervals by itself.
        _closing = options.Sinks.ToDictionary(sink => sink, sink => (new RecordWriter(RecordFields.All), new IntervalRecord { Sink = sink }));
        Ring = options.Sinks.Count == 0 ? null : new(options.MaxMemory, [.. options.Sinks.Select(sink => (sink, book.StartOf(sink)))], this, context.Time);
        foreach (var reader in Ring?.Readers ?? [])
        {
            reader.IntervalSettled += SaveSettled;
            _cursors.Add(new(reader, Open(reader.Sink, options, context), new(context.Metrics, reader.Sink), context.Health!, context.Time, context.Logging.CreateLogger<ExportCursor>()));
        }
    }

    public ReadOnlyMemory<byte> Key { get; }

    /// <summary>Null: there is no sink.</summary>
    internal ExportRing? Ring { get; }

    /// <summary>Checks, without asking another machine, that the options of the sinks that are in use can be used: files and directories are there.</summary>
    internal static void Check(ExportOptions options, OptionReader reader)
    {
        if (options.Sinks.Contains(FileSink.SinkName))
        {
            options.File.Check(reader);
        }
        if (options.Sinks.Contains(KafkaOptions.SinkName))
        {
            KafkaSettings.Require(options.Kafka, reader);
            KafkaSettings.Check(options.Kafka, reader);
        }
        if (options.Sinks.Contains(ElasticsearchOptions.SinkName))
        {
            ServerCredentials.Check(options.Elasticsearch, reader);
            ServerTrust.Check(options.Elasticsearch, reader);
        }
    }

    /// <summary>For the records of the drain.</summary>
    internal RecordWriter Writer { get; }

    /// <summary>The next commit has the counts of all sinks. Called with the ledger's lock.</summary>
    internal void Save()
    {
        foreach (var reader in Ring?.Readers ?? [])
        {
            _book.Save(reader);
        }
    }

    /// <summary>The records of an interval cannot be made again, since the options that shape them have changed: sinks that do not have them lose them.</summary>
    /// <param name="records">The most that there can be.</param>
    internal void LoseChanged(ulong interval, long records)
    {
        foreach (var reader in (Ring?.Readers ?? []).Where(reader => !_book.Has(reader.Sink, interval)))
        {
            reader.Lose(Math.Max(records, _book.ReturnedOf(reader.Sink)), LossReason.Changed);
        }
    }

    public void Write(string sink, in IntervalEnd end, in SinkCounts counts, IBufferWriter<byte> line)
    {
        var (writer, record) = _closing[sink];
        (record.Sequence, record.Records, record.Bytes) = (end.Records, (ulong)end.Records, (ulong)end.Bytes);
        (record.Issued, record.Acknowledged, record.Lost) = ((ulong)counts.Issued, (ulong)counts.Acknowledged, (ulong)counts.Lost);
        line.Write(writer.Write(new RecordContext(_observer, (long)end.Number, end.ReadAt, end.Start, end.ReadAt), record));
    }

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var cursor in _cursors)
        {
            await cursor.StartAsync(cancellationToken);
        }
        await base.StartAsync(cancellationToken);
    }

    /// <summary>
    /// The last interval is complete. The sinks write the remaining records side by side, and are disposed with the records' memory: the session itself is kept for a while, and
    /// the next one has sinks of its own.
    /// </summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_cursors.Select(cursor => cursor.StopAsync(cancellationToken)));
        // The last interval is in the map that was read, for the next process or session.
        Ring?.Abandon(_book.Interval, LossReason.Shutdown);
        lock (_ledger.Lock)
        {
            Save();
            foreach (var reader in Ring?.Readers ?? [])
            {
                _book.Keep(reader);
            }
            _ledger.Commit();
        }
        await base.StopAsync(cancellationToken);
        Release();
    }

    public override void Dispose()
    {
        base.Dispose();
        Release();
        Writer.Dispose();
        foreach (var (writer, _) in _closing.Values)
        {
            writer.Dispose();
        }
    }

    /// <summary>Fails when a cursor fails.</summary>
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        foreach (var cursor in _cursors)
        {
            _ = cursor.ExecuteTask!.ContinueWith(
                task => _failed.TrySetException(task.Exception!.InnerExceptions), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
        return _failed.Task.WaitAsync(stoppingToken);
    }

    /// <summary>A process that is killed from now on, and before the next interval, has left nothing to be written again, and nothing that may be lost.</summary>
    private void SaveSettled(ExportReader reader)
    {
        lock (_ledger.Lock)
        {
            _book.Save(reader);
            _ledger.Commit();
        }
    }

    private void Release()
    {
        foreach (var cursor in _cursors)
        {
            cursor.Dispose();
            _ = cursor.ReleaseSinkAsync();
        }
        _cursors.Clear();
    }

    private static IRecordSink Open(string name, ExportOptions options, SessionContext context) => name switch
    {
        StdoutSink.SinkName => StdoutSink.Open(),
        ElasticsearchOptions.SinkName => new ElasticsearchSink(options.Elasticsearch, new(context.Metrics), context.Time, context.Logging.CreateLogger<ElasticsearchSink>()),
        KafkaOptions.SinkName => new KafkaSink(options.Kafka, context.Time, context.Logging.CreateLogger<KafkaSink>()),
        _ => new FileSink(options.File, context.Logging.CreateLogger<FileSink>()),
    };
}
