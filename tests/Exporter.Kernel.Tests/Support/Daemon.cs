using System.Diagnostics;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// A program that runs beside a test, with a directory of its own. Both end with this process, however that ends: a shell waits for the end
/// of its own input, which this process holds.
/// </summary>
internal sealed class Daemon : IDisposable
{
    private const string Script = """directory=$1; shift; "$@" & cat >/dev/null; kill -KILL $!; wait; rm -rf "$directory" """;

    private readonly Process _process;
    private readonly List<string> _errors = [];

    private Daemon(string directory, IEnumerable<string> command)
    {
        Directory = directory;
        _process = new Process
        {
            StartInfo = new("sh", ["-c", Script, "sh", directory, .. command]) { RedirectStandardInput = true, RedirectStandardError = true },
        };
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.Add(line.Data ?? "");
            }
        };
        _process.Start();
        _process.BeginErrorReadLine();
    }

    internal string Directory { get; }

    internal string Errors
    {
        get
        {
            lock (_errors)
            {
                return string.Join('\n', _errors);
            }
        }
    }

    /// <param name="command">The program and its arguments; told the directory, in which it may put files.</param>
    internal static Daemon Start(Func<string, IEnumerable<string>> command)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("podnet-test-").FullName;
        return new(directory, command(directory));
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }
}
