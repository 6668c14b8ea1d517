using System.Buffers;
using System.Text;
using System.Text.Json;
using Exporter.Export;
using Exporter.Health;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;
using EventId = Exporter.Records.EventId;

namespace Exporter.Engine.Tests.Support;

/// <summary>Records of the product's writer on their way through its ring and its cursors to sinks; it knows what was issued.</summary>
internal sealed class RecordStream : IClosingRecord, IAsyncDisposable
{
    /// <summary>The default of Export:MaxMemory.</summary>
    internal const long Memory = 32 << 20;

    private const long Generation = 12;

    /// <summary>When the next interval is due, as far as full memory is concerned.</summary>
    private static readonly TimeSpan Due = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<string, string> _issued = new(StringComparer.Ordinal);
    private readonly RecordWriter _writer = new(RecordFields.All);
    private readonly LineKey _key = new();
    private readonly ExportRing _ring;
    private readonly IRecordSink[] _sinks;
    private readonly ExportCursor[] _cursors;
    private long _interval;

    private RecordStream(Func<ILogger, IRecordSink>[] sinks)
    {
        _sinks = [.. sinks.Select(sink => sink(Logger))];
        _ring = new(Memory, [.. _sinks.Select(sink => (sink.Name, default(SinkCounts)))], this, TimeProvider.System);
        var metrics = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry());
        _cursors = [.. _sinks.Select((sink, i) => new ExportCursor(_ring.Readers[i], sink, new(metrics, sink.Name), new LoopHealth(TimeProvider.System), TimeProvider.System, Logger))];
    }

    internal RecordingLogger<RecordStream> Logger { get; } = new();

    public ReadOnlyMemory<byte> Key { get; } = "node-0"u8.ToArray();

    internal static async Task<RecordStream> StartAsync(params Func<ILogger, IRecordSink>[] sinks)
    {
        var stream = new RecordStream(sinks);
        foreach (var cursor in stream._cursors)
        {
            await cursor.StartAsync(CancellationToken.None);
        }
        return stream;
    }

    public void Write(string sink, in IntervalEnd end, in SinkCounts counts, IBufferWriter<byte> line)
    {
        using var writer = new RecordWriter(RecordFields.All);
        line.Write(writer.Write(ContextOf((long)end.Number), new IntervalRecord
        {
            Sink = sink,
            Sequence = end.Records,
            Records = (ulong)end.Records,
            Bytes = (ulong)end.Bytes,
            Issued = (ulong)counts.Issued,
            Acknowledged = (ulong)counts.Acknowledged,
            Lost = (ulong)counts.Lost,
        }));
    }

    internal SinkCounts CountsOf(string sink) => ReaderOf(sink).Counts;

    /// <summary>Issues an interval of flow records. Where memory is full until the next interval would be due, the slowest sink loses records, as in the product.</summary>
    /// <returns>The interval's number.</returns>
    internal async Task<long> IssueAsync(int count, Action<FlowRecord, int>? change = null)
    {
        var context = ContextOf(++_interval);
        var bytes = 0L;
        _ring.Begin((ulong)_interval);
        for (var i = 0; i < count; i++)
        {
            var flow = SampleRecords.Tcp();
            (flow.Sequence, flow.Source.Port) = (i, (ushort)(1024 + i));
            flow.Id = EventId.OfFlow(context, Generation, new(flow.Protocol, flow.Source.Address, flow.Source.Port, flow.Destination.Address, flow.Destination.Port));
            change?.Invoke(flow, i);
            var line = _writer.Write(context, flow).ToArray();
            await AppendAsync(line, _key.Of(context, flow).ToArray());
            _issued[flow.Id.ToString()] = Encoding.UTF8.GetString(line).TrimEnd('\n');
            bytes += line.Length;
        }
        _ring.End(new((ulong)_interval, count, bytes, context.Start, context.Timestamp));
        return _interval;
    }

    /// <summary>Issues intervals, a pause between them, while something else is done.</summary>
    internal async Task IssueWhileAsync(Task other, int count, TimeSpan pause)
    {
        while (!other.IsCompleted)
        {
            await IssueAsync(count);
            await Task.Delay(pause);
        }
        await other;
    }

    /// <summary>Waits until each record is acknowledged by a sink, or counted as lost.</summary>
    internal Task SettleAsync(string sink) => Wait.UntilAsync(
        () => Task.FromResult(ReaderOf(sink).SettledInterval == (ulong)_interval),
        () => $"{sink} has settled interval {ReaderOf(sink).SettledInterval} of {_interval}: {ReaderOf(sink).Counts}{LogText}");

    /// <summary>Waits until a text is in the log, in as many lines.</summary>
    internal Task SayAsync(string text, int lines = 1) => Wait.UntilAsync(() => Task.FromResult(CountLines(text) >= lines), () => $"The log does not have '{text}':{LogText}");

    internal int CountLines(string text) => Logger.Entries.Count(entry => entry.Text.Contains(text, StringComparison.Ordinal));

    /// <summary>
    /// Compares what has come out of a sink with what was issued: what is missing is counted as lost, and repeats are equal.
    /// </summary>
    /// <param name="lines">Of all kinds.</param>
    /// <returns>How many flow records are missing, and how many came again.</returns>
    internal (int Missing, int Repeated) Compare(string sink, IEnumerable<string> lines)
    {
        var came = new HashSet<string>(StringComparer.Ordinal);
        var repeated = 0;
        foreach (var line in lines)
        {
            using var record = JsonDocument.Parse(line);
            var about = record.RootElement.GetProperty("event");
            if (about.GetProperty("dataset").GetString() == "podnet.flow")
            {
                var id = about.GetProperty("id").GetString()!;
                Assert.Equal(_issued[id], line);
                repeated += came.Add(id) ? 0 : 1;
            }
        }
        var counts = CountsOf(sink);
        var missing = _issued.Count - came.Count;
        Assert.Equal((_issued.Count, 0), (counts.Issued, counts.UnderWay));
        Assert.InRange(missing, 0, counts.Lost);
        return (missing, repeated);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_cursors.Select(cursor => cursor.StopAsync(CancellationToken.None)));
        foreach (var disposable in _cursors.Concat<object>(_sinks).OfType<IDisposable>())
        {
            disposable.Dispose();
        }
        _writer.Dispose();
    }

    private string LogText => string.Concat(Logger.Entries.Select(entry => $"\n{entry.Text}"));

    private ExportReader ReaderOf(string sink) => _ring.Readers.Single(reader => reader.Sink == sink);

    private static RecordContext ContextOf(long interval) => SampleRecords.Context with { Interval = interval };

    private async Task AppendAsync(byte[] line, byte[] key)
    {
        while (!_ring.TryAppend(line, LineKind.Flow, key))
        {
            using var due = new CancellationTokenSource(Due);
            if (!await _ring.WaitForRoomAsync(due.Token))
            {
                Assert.True(_ring.DropOldest());
            }
        }
    }
}
