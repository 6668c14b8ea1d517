using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// Runs a credential plugin and keeps its credentials until they expire or are refused. One run at a time: a request waits for a slow run for at most
/// <see cref="Patience"/>, and the next request waits for the same run.
/// </summary>
internal sealed class ExecPlugin(ExecCommand command, TimeProvider time) : IDisposable
{
    /// <summary>How long a request waits for the plugin: less than for an answer of the API server.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>How long a run may take before it is killed.</summary>
    internal static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>The limit for the output: a certificate and a token have a few KiB.</summary>
    private const int MaxOutputBytes = 1 << 20;

    private const int MaxErrorLength = 300;

    private readonly CancellationTokenSource _disposed = new();
    private Task<ExecCredential>? _running;
    private ExecCredential? _current;

    /// <exception cref="ApiUnreachableException">The program failed, or has not ended yet.</exception>
    internal async Task<ExecCredential> GetAsync(CancellationToken cancellationToken)
    {
        if (_current is { } current && !(current.Expires <= time.GetUtcNow()))
        {
            return current;
        }
        var running = _running ??= Task.Run(RunAsync, CancellationToken.None);
        try
        {
            _current = await running.WaitAsync(Patience, time, cancellationToken);
            _running = null;
            return _current;
        }
        catch (TimeoutException) when (!running.IsCompleted)
        {
            throw new ApiUnreachableException($"the plugin {Name} has not ended after {Patience.TotalSeconds:0} s; it is killed after {Limit.TotalMinutes:0} minutes");
        }
        catch when (running.IsCompleted)
        {
            _running = null;
            throw;
        }
    }

    /// <summary>Drops a credential that the API server refused, so that the program runs again for the next request.</summary>
    internal void Refuse(ExecCredential credential)
    {
        if (_current == credential)
        {
            _current = null;
        }
    }

    /// <summary>Kills the program if it runs.</summary>
    public void Dispose() => _disposed.Cancel();

    private string Name => $"'{command.Command}' of {command.Place}";

    private async Task<ExecCredential> RunAsync()
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _disposed.Token);
        using var process = Start();
        try
        {
            process.StandardInput.Close();
            var output = ReadAsync(process.StandardOutput.BaseStream, ending.Token);
            var errors = ReadAsync(process.StandardError.BaseStream, ending.Token);
            await process.WaitForExitAsync(ending.Token);
            return process.ExitCode == 0 ? ExecCredential.Parse(await output, command.ApiVersion) : throw new FormatException($"fails with exit code {process.ExitCode}{Tail(await errors)}");
        }
        catch (FormatException e)
        {
            throw new ApiUnreachableException($"the plugin {Name} {e.Message}", e);
        }
        catch (OperationCanceledException e)
        {
            throw new ApiUnreachableException($"the plugin {Name} was killed: it had not ended after {Limit.TotalMinutes:0} minutes", e);
        }
        finally
        {
            Kill(process);
        }
    }

    private Process Start()
    {
        var start = new ProcessStartInfo(command.Command, command.Arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in command.Variables)
        {
            start.Environment[name] = value;
        }
        start.Environment["KUBERNETES_EXEC_INFO"] = command.Info;
        try
        {
            return Process.Start(start) ?? throw new Win32Exception();
        }
        catch (Win32Exception e)
        {
            var hint = command.InstallHint.Length > 0 ? $" {command.InstallHint}" : "";
            throw new ApiUnreachableException($"the plugin {Name} cannot be started: {Reason(e)}.{hint}", e);
        }
    }

    /// <summary>The system's error message, without the command and the directory that .NET puts before it.</summary>
    private static string Reason(Win32Exception failure) => new Win32Exception(failure.NativeErrorCode).Message;

    private static async Task<byte[]> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var read = new MemoryStream();
        var buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, cancellationToken) is > 0 and var length)
        {
            // The rest is read and dropped: the program could block on a full pipe.
            read.Write(buffer, 0, (int)Math.Min(length, MaxOutputBytes - read.Length));
        }
        return read.ToArray();
    }

    private static string Tail(byte[] errors)
    {
        var text = Encoding.UTF8.GetString(errors).ReplaceLineEndings(" ").Trim();
        return text.Length == 0 ? " and prints no reason" : $": {(text.Length > MaxErrorLength ? $"...{text[^MaxErrorLength..]}" : text)}";
    }

    private static void Kill(Process process)
    {
        try
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException)
        {
            // The process has ended meanwhile.
        }
    }
}
