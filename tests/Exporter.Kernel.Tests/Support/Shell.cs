using System.Diagnostics;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Runs programs and wants them to succeed.</summary>
internal static class Shell
{
    /// <summary>The program's standard output.</summary>
    /// <exception cref="InvalidOperationException">It failed; with what it wrote to standard error.</exception>
    internal static string Run(string program, params string[] arguments)
    {
        var (exitCode, output, error) = TryRun(program, arguments);
        return exitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {exitCode}: {error}");
    }

    internal static (int ExitCode, string Output, string Error) TryRun(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    /// <summary>As <see cref="Run"/>, with the line split at blanks.</summary>
    internal static string Ip(string line) => Run("ip", line.Split(' '));

    internal static string Tc(string line) => Run("tc", line.Split(' '));
}
