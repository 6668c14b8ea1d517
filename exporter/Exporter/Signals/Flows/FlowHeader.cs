namespace Exporter.Signals.Flows;

/// <summary>Everything beside the map that the records of an interval depend on.</summary>
/// <param name="Map">The map that was read.</param>
/// <param name="Start">When the interval began.</param>
/// <param name="Digest">Of the options that shape records, and of their schema.</param>
internal readonly record struct FlowHeader(ulong Interval, int Map, DateTimeOffset Start, FlowClock Clock, ulong Digest)
{
    internal static FlowHeader Read(ReadOnlySpan<ulong> row) => new(
        row[FlowBook.Index.Interval],
        (int)row[FlowBook.Index.Map],
        TimeOf(row[FlowBook.Index.Start]),
        new(TimeOf(row[FlowBook.Index.ReadAt]), (uint)row[FlowBook.Index.Ticks], (int)row[FlowBook.Index.Rate]),
        row[FlowBook.Index.Digest]);

    internal void Write(Span<ulong> row)
    {
        (row[FlowBook.Index.Interval], row[FlowBook.Index.Map], row[FlowBook.Index.Digest]) = (Interval, (ulong)Map, Digest);
        (row[FlowBook.Index.Start], row[FlowBook.Index.ReadAt]) = ((ulong)Start.UtcTicks, (ulong)Clock.ReadAt.UtcTicks);
        // A zero would leave the number of the header before.
        (row[FlowBook.Index.Ticks], row[FlowBook.Index.Rate]) = (Clock.Ticks | (1ul << 32), (ulong)Clock.Rate);
    }

    private static DateTimeOffset TimeOf(ulong ticks) => new((long)ticks, TimeSpan.Zero);
}
