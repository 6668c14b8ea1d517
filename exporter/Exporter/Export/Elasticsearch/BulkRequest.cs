using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Exporter.Export.Elasticsearch;

/// <summary>The body of one bulk, compressed; its memory is reused by the next one.</summary>
/// <param name="index">Daily indices have the day behind it.</param>
internal sealed class BulkRequest(string index) : IDisposable
{
    private const string DayFormat = "yyyy.MM.dd";

    private static readonly ZLibCompressionOptions Fast = new() { CompressionLevel = 1 };

    private readonly byte[] _before = Encoding.UTF8.GetBytes($$"""{"create":{"_index":"{{index}}-""");
    private readonly MemoryStream _body = new();
    private int[] _sent = [];

    /// <summary>Its records.</summary>
    internal int Count { get; private set; }

    /// <summary>Before compression.</summary>
    internal int Bytes { get; private set; }

    internal ReadOnlyMemory<byte> Body => _body.GetBuffer().AsMemory(0, (int)_body.Length);

    /// <summary>The item that is sent at a place.</summary>
    internal int this[int place] => _sent[place];

    public void Dispose() => _body.Dispose();

    /// <summary>The index of a day.</summary>
    internal static string NameOf(string index, int day) => $"{index}-{DateOnly.FromDayNumber(day).ToString(DayFormat, CultureInfo.InvariantCulture)}";

    /// <summary>Writes records that are to be sent, from the first one, as many as a bulk may have, and at least one if there is one.</summary>
    internal void Build(BulkItems items, BulkSize size)
    {
        (Count, Bytes) = (0, 0);
        if (_sent.Length < items.Pending)
        {
            _sent = new int[Math.Max(items.Pending, 2 * _sent.Length)];
        }
        _body.SetLength(0);
        using var zipped = new GZipStream(_body, Fast, leaveOpen: true);
        for (var i = 0; i < items.Count && Count < size.Records; i++)
        {
            var item = (items.First + i) % items.Count;
            ref readonly var record = ref items[item];
            if (record.State != BulkItemState.Pending)
            {
                continue;
            }
            var bytes = _before.Length + DayFormat.Length + IdBefore.Length + record.Head.IdLength + IdBehind.Length + record.Length;
            if (Count > 0 && Bytes + bytes > size.Bytes)
            {
                break;
            }
            WriteAction(zipped, items, record);
            zipped.Write(items.Lines.Span.Slice(record.Line, record.Length));
            _sent[Count++] = item;
            Bytes += bytes;
        }
    }

    private static ReadOnlySpan<byte> IdBefore => "\",\"_id\":\""u8;

    private static ReadOnlySpan<byte> IdBehind => "\"}}\n"u8;

    private void WriteAction(GZipStream to, BulkItems items, in BulkItem record)
    {
        // An index has at most 200 bytes, an id at most 512.
        Span<byte> action = stackalloc byte[1024];
        _before.CopyTo(action);
        var length = _before.Length;
        _ = DateOnly.FromDayNumber(record.Head.Day).TryFormat(action[length..], out var day, DayFormat, CultureInfo.InvariantCulture);
        length += day;
        IdBefore.CopyTo(action[length..]);
        length += IdBefore.Length;
        items.Lines.Span.Slice(record.Line + record.Head.Id, record.Head.IdLength).CopyTo(action[length..]);
        length += record.Head.IdLength;
        IdBehind.CopyTo(action[length..]);
        to.Write(action[..(length + IdBehind.Length)]);
    }
}
