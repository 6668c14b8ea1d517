using System.Text.Json;
using Exporter.Tests.Support;

namespace Exporter.Engine.Tests.Support;

/// <summary>Runs of jobs/spark.</summary>
/// <param name="Detections">The lines of standard output.</param>
/// <param name="Counts">The last line of standard error.</param>
internal sealed record SparkJob(IReadOnlyList<JsonElement> Detections, IReadOnlyDictionary<string, long> Counts)
{
    internal static string Run { get; } = Path.Combine(Repository.Root, "jobs", "spark", "run");

    /// <summary>The quick compiler: a job of a test lives for a short time.</summary>
    private const string Java = "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

    /// <exception cref="InvalidOperationException">The job failed; with what it wrote to standard error.</exception>
    internal static async Task<SparkJob> RunAsync(params IReadOnlyList<string> arguments)
    {
        var (exitCode, output, error) = await TryRunAsync(arguments);
        return exitCode == 0
            ? new(ParseLines(output), JsonSerializer.Deserialize<Dictionary<string, long>>(error.TrimEnd().Split('\n')[^1])!)
            : throw new InvalidOperationException($"jobs/spark/run {string.Join(' ', arguments)} ended with {exitCode}: {error}");
    }

    internal static Task<(int ExitCode, string Output, string Error)> TryRunAsync(params IReadOnlyList<string> arguments)
    {
        // Skips where the engine is missing.
        _ = Engines.Spark;
        return Command.RunAsync("env", [Java, Run, .. arguments]);
    }

    /// <summary>The rows of a table of a report.</summary>
    internal static IReadOnlyList<JsonElement> ReadTable(string report, string name) =>
        [.. Directory.GetFiles(Path.Combine(report, name), "*.json").Order(StringComparer.Ordinal).SelectMany(file => ParseLines(File.ReadAllText(file)))];

    private static IReadOnlyList<JsonElement> ParseLines(string text) => [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))];
}
