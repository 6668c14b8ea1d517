namespace Exporter.Export;

/// <summary>A page of the ring. All but the records behind <see cref="Published"/>, which are the producer's, is guarded by the ring's lock.</summary>
internal sealed class ExportBlock(int size)
{
    internal RecordPage Page { get; } = new(size);

    /// <summary>The block that the producer continued with; null: it writes into this one.</summary>
    internal ExportBlock? Next { get; set; }

    /// <summary>Ascends from block to block.</summary>
    internal ulong Sequence { get; private set; }

    /// <summary>The interval of the first record.</summary>
    internal ulong Interval { get; set; }

    /// <summary>The end of the records that cursors may read.</summary>
    internal PagePosition Published { get; set; }

    /// <summary>When the first records were published, by <see cref="TimeProvider.GetTimestamp"/>.</summary>
    internal long Since { get; set; }

    /// <summary>Batches of this block that sinks have.</summary>
    internal int Pins { get; set; }

    internal bool IsEmpty => Published == Page.Start;

    /// <summary>Empties the block and puts it behind all others.</summary>
    internal void Begin(ulong sequence, ulong interval) => (Next, Sequence, Interval, Published) = (null, sequence, interval, Page.Start);
}
