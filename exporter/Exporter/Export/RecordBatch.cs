namespace Exporter.Export;

/// <summary>Records that a sink is to write, of one block. The memory is the sink's until its write ends; the next batch reuses the object.</summary>
internal sealed class RecordBatch
{
    private RecordPage _page = null!;
    private PagePosition _from;
    private PagePosition _to;

    /// <summary>Another for each batch of a sink; a batch that is written again keeps it.</summary>
    internal ulong Number { get; private set; }

    /// <summary>Its records.</summary>
    internal int Count { get; private set; }

    /// <summary>All lines, as they follow each other.</summary>
    internal ReadOnlyMemory<byte> Lines => _page.Lines(_from, _to);

    /// <summary>The records that the sink's other end does not accept.</summary>
    internal int Rejected { get; private set; }

    /// <summary>Records that its sink has sent again by itself; each time counts.</summary>
    internal int Resent { get; private set; }

    /// <summary>The block whose memory it is; null: the reader's own page.</summary>
    internal ExportBlock? Block { get; private set; }

    /// <summary>Its flow and rest records.</summary>
    internal int Counted { get; private set; }

    /// <summary>How many of these are rejected.</summary>
    internal int CountedRejected { get; private set; }

    public Enumerator GetEnumerator() => new(this);

    /// <summary>Notes that the other end will not accept a record, whenever it is sent: it is counted as lost. A batch that is written again has none.</summary>
    internal void Reject(in ExportRecord record)
    {
        Rejected++;
        CountedRejected += record.IsCounted ? 1 : 0;
    }

    /// <summary>Notes that the sink sends so many of its records once more.</summary>
    internal void Resend(int count) => Resent += count;

    /// <summary>Forgets the rejections of an attempt that failed: all records are written again.</summary>
    internal void Restart() => (Rejected, CountedRejected) = (0, 0);

    internal void Set(ExportBlock? block, RecordPage page, PagePosition from, PagePosition to)
    {
        (Block, _page, _from, _to) = (block, page, from, to);
        (Count, Counted, Resent) = (0, 0, 0);
        Number++;
        Restart();
        foreach (var record in this)
        {
            Count++;
            Counted += record.IsCounted ? 1 : 0;
        }
    }

    /// <summary>Reads the records in their order.</summary>
    internal ref struct Enumerator(RecordBatch batch)
    {
        private PagePosition _at = batch._from;

        public ExportRecord Current { get; private set; }

        public bool MoveNext()
        {
            if (_at == batch._to)
            {
                return false;
            }
            Current = batch._page.Read(_at, out _at);
            return true;
        }
    }
}
