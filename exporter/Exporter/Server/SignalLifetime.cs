using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.Server;

/// <summary>
/// Handles signals: SIGTERM, SIGINT and SIGQUIT stop the program in order, a second one ends it at once, and SIGHUP makes it read files again. For
/// process 1 of a container the kernel's default action would be to ignore them.
/// </summary>
internal sealed partial class SignalLifetime(IHostApplicationLifetime application, ILogger<SignalLifetime> logger) : IHostLifetime, IDisposable
{
    /// <summary>The base of exit codes for signals: shells show 128 and the signal's number for a process that a signal ended.</summary>
    private const int ExitCodeBase = 128;

    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _stops;

    /// <summary>Called for each SIGHUP, on any thread.</summary>
    internal Action? ReadFiles { get; set; }

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var (signal, number) in ((PosixSignal, int)[])[(PosixSignal.SIGTERM, 15), (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3)])
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, context => Stop(context, number)));
        }
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, Hangup));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void Stop(PosixSignalContext context, int number)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _stops) > 1)
        {
            // The logger writes in the background, too late for this end.
            Console.Error.WriteLine($"{context.Signal} while stopping: ending at once");
            ImmediateExit.Run(ExitCodeBase + number);
        }
        LogStopping(context.Signal);
        application.StopApplication();
    }

    private void Hangup(PosixSignalContext context)
    {
        context.Cancel = true;
        LogReading();
        ReadFiles?.Invoke();
    }

    [LoggerMessage(62, LogLevel.Information, "{Signal}: stopping; a second one ends the process at once")]
    private partial void LogStopping(PosixSignal signal);

    [LoggerMessage(63, LogLevel.Information, "SIGHUP: reading the files of options, certificate and credentials again")]
    private partial void LogReading();
}
