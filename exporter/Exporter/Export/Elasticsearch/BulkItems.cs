namespace Exporter.Export.Elasticsearch;

/// <summary>The records of the batch that is written, each with its state, which attempts share. The memory is reused by the next batch.</summary>
internal sealed class BulkItems
{
    private BulkItem[] _items = [];
    private ulong _batch;

    internal int Count { get; private set; }

    /// <summary>How many records are to be sent.</summary>
    internal int Pending { get; private set; }

    /// <summary>Those whose line has no id or no time, of the batch that was loaded last.</summary>
    internal int Unreadable { get; private set; }

    /// <summary>The latest day of a record that is to be sent, and the earliest one.</summary>
    internal (int First, int Last) Days { get; private set; }

    internal ReadOnlyMemory<byte> Lines { get; private set; }

    /// <summary>The one that is sent first, if it is to be sent; behind the last one the others follow.</summary>
    internal int First { get; private set; }

    internal ref readonly BulkItem this[int item] => ref _items[item];

    /// <summary>Reads the records of a batch, unless they are read already. Identity records have no place in an index: they are done.</summary>
    /// <returns>Whether it is another batch.</returns>
    internal bool Load(RecordBatch batch)
    {
        if (_batch == batch.Number)
        {
            return false;
        }
        (_batch, Lines, First, Count, Pending, Unreadable, Days) = (batch.Number, batch.Lines, 0, 0, 0, 0, (int.MaxValue, int.MinValue));
        if (_items.Length < batch.Count)
        {
            _items = new BulkItem[Math.Max(batch.Count, 2 * _items.Length)];
        }
        var line = 0;
        foreach (var record in batch)
        {
            var head = default(RecordHead);
            var state = record.Kind == LineKind.Identity ? BulkItemState.Done : RecordHead.TryRead(record.Line, out head) ? BulkItemState.Pending : BulkItemState.Rejected;
            if (state == BulkItemState.Pending)
            {
                Pending++;
                Days = (Math.Min(Days.First, head.Day), Math.Max(Days.Last, head.Day));
            }
            Unreadable += state == BulkItemState.Rejected ? 1 : 0;
            _items[Count++] = new(line, record.Line.Length, head, state);
            line += record.Line.Length;
        }
        return true;
    }

    /// <summary>The next batch is read, be it the same one.</summary>
    internal void Forget() => _batch = 0;

    /// <summary>Ends the way of a record that is to be sent.</summary>
    internal void End(int item, BulkItemState state)
    {
        _items[item].State = state;
        Pending--;
    }

    /// <summary>A doubtful record is rejected.</summary>
    internal void Reject(int item) => _items[item].State = BulkItemState.Rejected;

    /// <summary>A doubtful record is to be sent again, after those behind it.</summary>
    internal void Return(int item)
    {
        _items[item].State = BulkItemState.Pending;
        Pending++;
        First = (item + 1) % Count;
    }

    /// <summary>Notes the records that are rejected in their batch.</summary>
    internal void NoteRejected(RecordBatch batch)
    {
        var item = 0;
        foreach (var record in batch)
        {
            if (_items[item++].State == BulkItemState.Rejected)
            {
                batch.Reject(record);
            }
        }
    }
}
