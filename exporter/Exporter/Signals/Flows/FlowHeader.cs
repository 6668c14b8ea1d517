namespace Exporter.Signals.Flows;

/// <summary>Everything beside the map that the records of an interval depend on.</summary>
/// <param name="Map">The map that was read.</param>
/// <param name="Start">When the interval began.</param>
/// <param name="Steady">The same reading by a clock that no program sets: the time since the boot.</param>
/// <param name="Digest">Of the options that shape records, and of their schema.</param>
/// <param name="Budget">The most records; 0: all its traffic is rest.</param>
internal readonly record struct FlowHeader(ulong Interval, int Map, DateTimeOffset Start, FlowClock Clock, FlowClock Steady, ulong Digest, long Budget)
{
    private const long Unbounded = int.MaxValue;

    internal static FlowHeader Read(ReadOnlySpan<ulong> row) => new(
        row[FlowBook.Index.Interval],
        (int)row[FlowBook.Index.Map],
        TimeOf(row[FlowBook.Index.Start]),
        new(TimeOf(row[FlowBook.Index.ReadAt]), (uint)row[FlowBook.Index.Ticks], (int)row[FlowBook.Index.Rate]),
        new(TimeOf(row[FlowBook.Index.SteadyAt]), (uint)row[FlowBook.Index.Ticks], (int)row[FlowBook.Index.Rate]),
        row[FlowBook.Index.Digest],
        // 0: the header is from a version without it, which had no bound.
        row[FlowBook.Index.Budget] is 0 ? Unbounded : (long)row[FlowBook.Index.Budget] - 1);

    internal void Write(Span<ulong> row)
    {
        (row[FlowBook.Index.Interval], row[FlowBook.Index.Map], row[FlowBook.Index.Digest]) = (Interval, (ulong)Map, Digest);
        (row[FlowBook.Index.Start], row[FlowBook.Index.ReadAt], row[FlowBook.Index.SteadyAt]) = ((ulong)Start.UtcTicks, (ulong)Clock.ReadAt.UtcTicks, (ulong)Steady.ReadAt.UtcTicks);
        // A zero would leave the number of the header before.
        (row[FlowBook.Index.Ticks], row[FlowBook.Index.Rate]) = (Clock.Ticks | (1ul << 32), (ulong)Clock.Rate);
        row[FlowBook.Index.Budget] = (ulong)Budget + 1;
    }

    private static DateTimeOffset TimeOf(ulong ticks) => new((long)ticks, TimeSpan.Zero);
}
