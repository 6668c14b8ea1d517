using System.Buffers;
using System.Globalization;
using System.Text;
using Exporter.Export;

namespace Exporter.Tests.Support;

/// <summary>A ring whose lines are numbered, with small blocks.</summary>
internal sealed class ExportedLines : IClosingRecord
{
    internal const int BlockBytes = 4096;

    private static readonly string[] Sinks = ["a", "b"];

    private long _records;
    private long _bytes;

    internal ExportedLines(TimeProvider time, int blocks = 8, int blockBytes = BlockBytes, params IReadOnlyList<(string Sink, SinkCounts Start)> sinks) =>
        Ring = new((long)blocks * blockBytes, sinks.Count > 0 ? sinks : [.. Sinks.Select(sink => (sink, default(SinkCounts)))], this, time, blockBytes);

    internal ExportRing Ring { get; }

    internal ExportReader this[int sink] => Ring.Readers[sink];

    /// <summary>The number of the next line.</summary>
    internal int Next { get; private set; }

    internal ulong Interval { get; private set; }

    public ReadOnlyMemory<byte> Key { get; } = "node-0"u8.ToArray();

    public void Write(string sink, in IntervalEnd end, in SinkCounts counts, IBufferWriter<byte> line) =>
        line.Write(Encoding.UTF8.GetBytes(FormattableString.Invariant($"end {end.Number} {sink} {end.Records} {end.Bytes} {counts.Issued} {counts.Acknowledged} {counts.Lost}\n")));

    /// <summary>Writes all that is there, as a cursor does.</summary>
    internal async Task WriteAllAsync(IRecordSink sink)
    {
        while (this[0].TryRead() is { } batch)
        {
            await sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask().WaitAsync(Silence.Limit);
            this[0].Settle(batch);
        }
    }

    internal void Begin()
    {
        (_records, _bytes) = (0, 0);
        Ring.Begin(++Interval);
    }

    /// <summary>Appends lines until there is no room. Returns how many.</summary>
    internal int Append(int count, LineKind kind = LineKind.Flow, int padding = 0)
    {
        for (var i = 0; i < count; i++)
        {
            var text = Encoding.UTF8.GetBytes(FormattableString.Invariant($"{kind} {Next} {new string('x', padding)}\n"));
            if (!Ring.TryAppend(text, kind, Encoding.UTF8.GetBytes(FormattableString.Invariant($"key {Next}"))))
            {
                return i;
            }
            Next++;
            if (kind is LineKind.Flow or LineKind.Rest)
            {
                (_records, _bytes) = (_records + 1, _bytes + text.Length);
            }
        }
        return count;
    }

    internal void End() => Ring.End(new(Interval, _records, _bytes, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddSeconds(Interval)));

    /// <summary>An interval of flow records, for which there is room.</summary>
    internal void Fill(int count, int padding = 0)
    {
        Begin();
        Assert.Equal(count, Append(count, padding: padding));
        End();
    }

    /// <summary>Reads all that is there, acknowledges it, and returns the lines.</summary>
    internal static List<string> ReadAll(ExportReader reader)
    {
        var lines = new List<string>();
        while (reader.TryRead() is { } batch)
        {
            lines.AddRange(LinesOf(batch));
            reader.Settle(batch);
        }
        return lines;
    }

    internal static string[] LinesOf(RecordBatch batch) => Encoding.UTF8.GetString(batch.Lines.Span).Split('\n')[..^1];

    /// <summary>The number of a flow or rest line; null for others.</summary>
    internal static int? NumberOf(string line) => line.Split(' ') is ["Flow" or "Rest", var number, ..] ? int.Parse(number, CultureInfo.InvariantCulture) : null;
}
