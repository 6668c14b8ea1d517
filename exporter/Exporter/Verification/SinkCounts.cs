namespace Exporter.Verification;

/// <summary>Flow and rest records since the epoch, for one sink, as a closing record has them.</summary>
internal readonly record struct SinkCounts(ulong Issued, ulong Acknowledged, ulong Lost)
{
    internal static SinkCounts Min(SinkCounts one, SinkCounts other) =>
        new(Math.Min(one.Issued, other.Issued), Math.Min(one.Acknowledged, other.Acknowledged), Math.Min(one.Lost, other.Lost));

    internal static SinkCounts Max(SinkCounts one, SinkCounts other) =>
        new(Math.Max(one.Issued, other.Issued), Math.Max(one.Acknowledged, other.Acknowledged), Math.Max(one.Lost, other.Lost));
}
