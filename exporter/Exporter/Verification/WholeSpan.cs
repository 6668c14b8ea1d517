namespace Exporter.Verification;

/// <summary>
/// The append times, in milliseconds since 1970, between which a topic's records were all read. A record goes to a partition by its key, partitions begin at
/// different times, and a topic that is written to has no common end: intervals beyond these times are not whole.
/// </summary>
/// <param name="From">A record that was appended later is still there; MinValue: each that ever was is there.</param>
/// <param name="Until">A record that was appended then or earlier was read.</param>
internal readonly record struct WholeSpan(long From, long Until)
{
    /// <summary>
    /// The intervals that are whole, from one number to another, both included; of these there may be none. A sink appends an interval after all records of the
    /// interval before: so one is whole if an earlier one has a record from after the beginning, and a later one has a record from before the end.
    /// </summary>
    internal (ulong First, ulong Last) WholeIntervals(IReadOnlyDictionary<ulong, ObservedInterval> intervals)
    {
        ulong? begun = From == long.MinValue ? null : ulong.MaxValue;
        ulong ended = 0;
        foreach (var (number, interval) in intervals)
        {
            if (begun is { } first && interval.LastAppend > From)
            {
                begun = Math.Min(first, number);
            }
            if (interval.FirstAppend <= Until)
            {
                ended = Math.Max(ended, number);
            }
        }
        return (begun is { } before ? before + Math.Min(1, ulong.MaxValue - before) : 0, ended == 0 ? 0 : ended - 1);
    }
}
