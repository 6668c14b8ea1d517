using System.Diagnostics;

namespace Exporter.Engine.Tests.Support;

/// <summary>Runs a program to its end. It is killed where this process ends before.</summary>
internal static class Command
{
    /// <summary>Ends a program that hangs; a slow machine does not reach it.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    /// <summary>Kills the program when the shell's input ends, which this process holds.</summary>
    private const string Watched = """
        exec 3<&0; setpriv --pdeathsig KILL "$@" 3<&- </dev/null & program=$!
        { cat <&3; kill -KILL $program; } >/dev/null 2>&1 & watcher=$!
        wait $program; code=$?; kill $watcher; exit $code
        """;

    internal static async Task<(int ExitCode, string Output, string Error)> RunAsync(string program, params IEnumerable<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", Watched, "sh", program, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync().WaitAsync(Limit);
        }
        finally
        {
            process.StandardInput.Close();
        }
        return (process.ExitCode, await output, await error);
    }
}
