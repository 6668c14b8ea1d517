using Exporter.Options;

namespace Exporter.Edges;

/// <summary>Options of the series of edges.</summary>
/// <param name="MaxSeries">Sample lines.</param>
internal sealed record EdgeOptions(EdgeLevel Level, int MaxSeries)
{
    private const int LeastSeries = 64;

    internal bool IsOn => Level != EdgeLevel.Off;

    /// <summary>The sample lines that edges have of the budget: at most half of it. 0 where they are off.</summary>
    /// <param name="budget">The option Metrics:MaxSeries.</param>
    internal int LinesOf(int budget) => IsOn ? Math.Min(MaxSeries, budget / 2) : 0;

    internal static EdgeOptions Read(OptionReader reader) => new(
        reader.Choice(
            "Edges:Level",
            EdgeLevel.Off,
            "Owners of edges, which show their traffic with each peer: workload, or namespace; off: there are none. With another level each node watches Services and EndpointSlices.",
            values: [EdgeLevel.Off, EdgeLevel.Workload, EdgeLevel.Namespace]),
        reader.Number(
            "Edges:MaxSeries",
            5000,
            LeastSeries,
            1_000_000,
            "Most sample lines of edges, set aside of Metrics:MaxSeries and at most half of it; edges that do not fit are counted under peer __other__.",
            isLive: true));
}
