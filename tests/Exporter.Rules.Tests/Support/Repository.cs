using System.Diagnostics;

namespace Exporter.Rules.Tests.Support;

/// <summary>The files that are tested, and the programs that judge them.</summary>
internal static class Repository
{
    internal static string Root { get; } = Find(AppContext.BaseDirectory);

    internal static string Dashboards { get; } = Path.Combine(Root, "dashboards");

    internal static string Rules { get; } = Path.Combine(Dashboards, "rules");

    internal static string Runbooks { get; } = Path.Combine(Dashboards, "runbooks");

    internal static string Chart { get; } = Path.Combine(Root, "chart");

    internal static (int ExitCode, string Output, string Error) Run(string program, params IEnumerable<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    private static string Find(string directory) =>
        File.Exists(Path.Combine(directory, "Exporter.sln"))
            ? directory
            : Find(Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("There is no Exporter.sln above the tests."));
}
