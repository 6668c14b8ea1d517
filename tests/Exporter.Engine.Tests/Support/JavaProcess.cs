using System.Diagnostics;
using System.Globalization;

namespace Exporter.Engine.Tests.Support;

/// <summary>
/// A program of an engine that is started, killed and started again, with a directory of its own. However this process ends, the program is
/// killed and the directory removed: a shell runs the program, and waits for commands or the end of its input, which this process holds.
/// </summary>
internal sealed class JavaProcess : IAsyncDisposable
{
    /// <summary>Answers each command with the program's process: when it has started, or has ended by a signal.</summary>
    private const string Supervisor = """
        directory=$1; shift; log=$directory/log; program=
        while read -r command; do
            if [ "$command" = start ]; then
                setpriv --pdeathsig KILL "$@" >>"$log" 2>&1 </dev/null & program=$!
            else
                kill "-$command" $program; wait $program
            fi
            echo $program
        done
        [ -z "$program" ] || kill -KILL $program; wait; rm -rf "$directory"
        """;

    private readonly Process _supervisor;
    private int? _program;

    /// <param name="command">The program with its arguments; given the directory, in which it may put files.</param>
    internal JavaProcess(Func<string, IEnumerable<string>> command)
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("podnet-engine-").FullName;
        _supervisor = Process.Start(new ProcessStartInfo("sh", ["-c", Supervisor, "sh", Directory, .. command(Directory)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
    }

    internal string Directory { get; }

    /// <summary>The output of the program since it was first started.</summary>
    internal string Log => File.Exists(LogPath) ? File.ReadAllText(LogPath) : "";

    private string LogPath => Path.Combine(Directory, "log");

    /// <summary>A program that has ended is a zombie until the shell asks how it ended.</summary>
    internal bool IsRunning
    {
        get
        {
            try
            {
                // pid (name) state ...
                return _program is { } id && File.ReadAllText($"/proc/{id}/stat").Split(')')[^1].Trim()[0] != 'Z';
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                return false;
            }
        }
    }

    /// <summary>The command of Java for a folder of jars.</summary>
    /// <param name="megabytes">Of heap, at most.</param>
    /// <param name="arguments">The main class or file, and its arguments.</param>
    internal static IEnumerable<string> Java(string jars, int megabytes, params IEnumerable<string> arguments) =>
        // The quick compiler: an engine of a test lives for a short time.
        ["java", $"-Xmx{megabytes}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", $"{jars}/*", .. arguments];

    /// <summary>Starts the program and waits until it is ready.</summary>
    /// <exception cref="InvalidOperationException">It ended, or did not become ready in time; with its log.</exception>
    internal async Task StartAsync(Func<Task<bool>> isReady)
    {
        _program = await CommandAsync("start");
        await Wait.UntilAsync(
            async () => IsRunning ? await isReady() : throw new InvalidOperationException($"The engine has ended:\n{Log}"),
            () => $"The engine is not ready:\n{Log}");
    }

    /// <summary>Kills the program at once (-9).</summary>
    internal Task KillAsync() => SignalAsync("KILL");

    /// <summary>Asks the program to end (SIGTERM), and waits until it has.</summary>
    internal Task StopAsync() => SignalAsync("TERM");

    /// <summary>Holds the program, which keeps its connections and answers nothing, or lets it continue.</summary>
    internal Task HoldAsync(bool isHeld) => Task.Run(() =>
    {
        using var kill = Process.Start("kill", [isHeld ? "-STOP" : "-CONT", _program!.Value.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    });

    public async ValueTask DisposeAsync()
    {
        _supervisor.StandardInput.Close();
        await _supervisor.WaitForExitAsync();
        _supervisor.Dispose();
    }

    private async Task SignalAsync(string signal)
    {
        await CommandAsync(signal);
        _program = null;
    }

    private async Task<int> CommandAsync(string command)
    {
        await _supervisor.StandardInput.WriteLineAsync(command);
        await _supervisor.StandardInput.FlushAsync();
        return await _supervisor.StandardOutput.ReadLineAsync().WaitAsync(Silence.Limit) is { } answer
            ? int.Parse(answer, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"The engine's shell has ended: {await _supervisor.StandardError.ReadToEndAsync()}\n{Log}");
    }
}
