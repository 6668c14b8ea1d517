using Exporter.Commands;
using Exporter.Engine.Tests.Golden;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>The traffic that the jobs are tested with.</summary>
public sealed class GoldenTrafficTests
{
    [Fact, Trait(Engines.Form, Engines.Short)]
    public void The_same_seed_makes_the_same_records_and_the_same_truth()
    {
        var (one, other, another) = (GoldenTraffic.Make(seed: 7), GoldenTraffic.Make(seed: 7), GoldenTraffic.Make(seed: 8));

        Assert.Equal(one.Records, other.Records);
        Assert.Equal(one.Truth.ToJson(), other.Truth.ToJson());
        Assert.NotEqual(one.Records, another.Records);
    }

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task Flows_verify_finds_the_lost_records_and_nothing_else()
    {
        using var directory = new TemporaryDirectory();
        // Without what no exporter writes.
        var numbered = GoldenTraffic.Make().Records.Select(record => record.Value ?? "").Where(line => line.Contains("\"observer\":{", StringComparison.Ordinal));
        var file = directory.Write("records.jsonl", string.Join('\n', numbered.Select(line => line.Replace(GoldenNoise.More, "{", StringComparison.Ordinal))));
        using var output = new StringWriter();

        Assert.Equal(ExitCode.Failure, await FlowsVerifyCommand.RunAsync(new[] { $"--from={file}" }, output, output, handler: null, TestContext.Current.CancellationToken));

        Assert.Equal(
            ["problem: 2 records are missing in interval 278 of node-1", "problem: 3 records are missing in interval 199 of node-0"],
            output.ToString().Split('\n').Where(line => line.StartsWith("problem", StringComparison.Ordinal)).Select(line => line.Split(" (")[0]).Order(StringComparer.Ordinal));
    }
}
