using System.Buffers;
using System.Text;
using Exporter.Export;

namespace Exporter.Tests.Support;

/// <summary>Batches of records, as a cursor hands them to its sink.</summary>
internal sealed class RecordBatches : IClosingRecord
{
    private readonly ExportRing _ring;
    private ulong _interval;
    private RecordBatch? _last;

    internal RecordBatches() => _ring = new(4L * BlockBytes, [("elasticsearch", default)], this, TimeProvider.System, BlockBytes);

    internal const int BlockBytes = 16 << 20;

    public ReadOnlyMemory<byte> Key { get; } = "node-0"u8.ToArray();

    private ExportReader Reader => _ring.Readers[0];

    public void Write(string sink, in IntervalEnd end, in SinkCounts counts, IBufferWriter<byte> line) => line.Write("{}\n"u8);

    /// <summary>A line that has little more than an id and a time.</summary>
    internal static string Line(string id, string time = "2026-11-28T10:05:10.137Z", int padding = 0) =>
        $$$"""{"@timestamp":"{{{time}}}","event":{"id":"{{{id}}}","dataset":"podnet.flow"},"source":{"ip":"10.0.0.14"},"x":"{{{new string('x', padding)}}}"}""";

    internal RecordBatch Of(params IEnumerable<string> lines) => Of(lines.Select(line => (line, LineKind.Flow)));

    internal RecordBatch Of(IEnumerable<(string Line, LineKind Kind)> lines)
    {
        if (_last is not null)
        {
            Reader.Settle(_last);
            Reader.Settle(Reader.TryRead()!);
        }
        _ring.Begin(++_interval);
        foreach (var (line, kind) in lines)
        {
            Assert.True(_ring.TryAppend(Encoding.UTF8.GetBytes(line + "\n"), kind, "key"u8));
        }
        _ring.End(new(_interval, 0, 0, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch));
        return _last = Reader.TryRead()!;
    }
}
