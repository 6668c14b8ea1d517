using System.Collections.Concurrent;
using System.Diagnostics;
using Exporter.Tests.Support;

namespace Exporter.Engine.Tests.Support;

/// <summary>The folders with the jars of the engines, as scripts/engines makes them ready.</summary>
internal static class Engines
{
    /// <summary>The trait of tests that the short form of the ring has.</summary>
    internal const string Form = "Form";

    /// <summary>The value of <see cref="Form"/>.</summary>
    internal const string Short = "Short";

    private static readonly ConcurrentDictionary<string, Lazy<(string? Folder, string Errors)>> Found = new();

    internal static string Kafka => Require("kafka");

    internal static string Flink => Require("flink");

    internal static string Spark => Require("spark");

    internal static string OpenSearch => Require("opensearch");

    /// <summary>The folder of an engine. The test is skipped where the engine is missing, and fails where that is in CI.</summary>
    private static string Require(string engine)
    {
        var (folder, errors) = Found.GetOrAdd(engine, name => new(() => Find(name))).Value;
        if (folder is null && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("CI")))
        {
            Assert.Skip(errors);
        }
        return folder ?? throw new InvalidOperationException(errors);
    }

    private static (string? Folder, string Errors) Find(string engine)
    {
        using var process = Process.Start(new ProcessStartInfo(Path.Combine(Repository.Root, "scripts", "engines"), [engine])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode == 0 ? output.Trim() : null, errors.Result);
    }
}
