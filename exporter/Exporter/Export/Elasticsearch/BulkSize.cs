namespace Exporter.Export.Elasticsearch;

/// <summary>The most of one bulk: it halves when a server refuses a bulk as too large, and doubles after many that were taken.</summary>
internal sealed class BulkSize
{
    internal const int MaxRecords = 5000;
    internal const int MaxBytes = 4 << 20;

    /// <summary>The bulks that are taken before a larger one is tried: a server with a fixed limit refuses at most one in so many.</summary>
    private const int Patience = 256;

    private int _taken;

    internal int Records { get; private set; } = MaxRecords;

    /// <summary>Before compression.</summary>
    internal int Bytes { get; private set; } = MaxBytes;

    /// <summary>A bulk of this size was refused as too large.</summary>
    internal void Halve(int records, int bytes) => (Records, Bytes, _taken) = (Math.Max(1, records / 2), Math.Max(1, bytes / 2), 0);

    /// <summary>A bulk was taken.</summary>
    internal void Note()
    {
        if ((Records < MaxRecords || Bytes < MaxBytes) && ++_taken == Patience)
        {
            (Records, Bytes, _taken) = (Math.Min(MaxRecords, 2 * Records), Math.Min(MaxBytes, 2 * Bytes), 0);
        }
    }
}
