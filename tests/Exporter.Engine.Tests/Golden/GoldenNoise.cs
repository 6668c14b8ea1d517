namespace Exporter.Engine.Tests.Golden;

/// <summary>Messages that no job may stop at: broken ones, unknown ones, and records with more than a schema has.</summary>
internal static class GoldenNoise
{
    /// <summary>The beginning of a record with fields that no schema has, and a null.</summary>
    internal const string More = """{"labels":{"team":["a",null],"deep":{"er":1.5}},"trace":null,""";

    private const int Copies = 4;

    private static readonly string?[] Broken =
    [
        null,
        "",
        "not JSON",
        "{\"@timestamp\":\"2026-11-28T10:00:00.000Z\",\"event\":{\"id\":\"cut\",\"dataset\":\"podnet.flow\"},\"source\":{\"ip\":\"10.0",
        "[1,2,3]",
        "42",
        "{}",
        "{\"event\":null}",
        "{\"@timestamp\":\"yesterday\",\"event\":{\"id\":5,\"dataset\":\"podnet.flow\"},\"source\":{\"bytes\":\"many\"},\"destination\":[]}",
        "{\"@timestamp\":null,\"event\":{\"id\":\"without-time\",\"dataset\":\"podnet.flow\"}}",
    ];

    private static readonly string[] Unknown =
    [
        "{\"@timestamp\":\"2026-11-28T10:40:00.000Z\",\"event\":{\"id\":\"unknown-1\",\"dataset\":\"podnet.future\"},\"future\":{\"value\":1},\"k8s\":{\"node\":{\"name\":\"node-0\"}},\"podnet\":{\"schema\":1}}",
        "{\"@timestamp\":\"2026-11-28T10:40:00.000Z\",\"event\":{\"id\":\"unknown-2\",\"dataset\":\"other\"}}",
    ];

    /// <summary>Adds them, and gives some records fields more, and nulls.</summary>
    internal static IEnumerable<GoldenRecord> Add(IEnumerable<GoldenRecord> records, GoldenTruth truth, Random random)
    {
        const double ChangedShare = 0.005;
        foreach (var record in records)
        {
            if (random.NextDouble() < ChangedShare)
            {
                truth.Count("changed");
                yield return record with { Value = More + record.Value![1..] };
            }
            else
            {
                yield return record;
            }
        }
        for (var copy = 0; copy < Copies; copy++)
        {
            foreach (var value in Broken)
            {
                truth.Count("broken");
                yield return new(SomeTime(), null, value);
            }
            foreach (var value in Unknown)
            {
                truth.Count("unknown");
                yield return new(SomeTime(), "node-0", value);
            }
        }

        DateTimeOffset SomeTime() => truth.Begin + (GoldenScenario.Duration * random.NextDouble());
    }
}
