namespace Exporter.Engine.Tests.Golden;

/// <summary>An hour and a half of a small cluster's traffic as its nodes write it, and the truth about it. The same for the same seed.</summary>
/// <param name="Records">In the order in which the topic has them.</param>
internal sealed record GoldenTraffic(IReadOnlyList<GoldenRecord> Records, GoldenTruth Truth)
{
    /// <summary>Jobs learn from the traffic's first hour, in which the only attacks are a beacon and scans.</summary>
    internal static TimeSpan Learning { get; } = TimeSpan.FromMinutes(60);

    /// <param name="scale">How many times the ordinary traffic is played.</param>
    /// <param name="begin">A full hour; null: 2026-11-28 10:00 UTC.</param>
    internal static GoldenTraffic Make(int seed = 1, int scale = 1, DateTimeOffset? begin = null)
    {
        var truth = new GoldenTruth { Begin = begin ?? new(2026, 11, 28, 10, 0, 0, TimeSpan.Zero) };
        var scenario = new GoldenScenario(new(), seed, scale);
        GoldenAttacks.Add(scenario, truth);
        using var writer = new GoldenWriter(scenario, truth, seed);
        foreach (var node in scenario.Cluster.Nodes)
        {
            writer.Write(node);
        }
        // Stable: records of one time stay in their node's order.
        return new([.. GoldenNoise.Add(writer.Records, truth, new(seed)).OrderBy(record => record.Appended)], truth);
    }
}
