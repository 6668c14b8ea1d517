using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.Server;

/// <summary>
/// What signals do: SIGTERM, SIGINT and SIGQUIT stop the program in order, a second one ends it at once, SIGHUP has files read again. The
/// default action of the kernel would do nothing for process 1 of a container.
/// </summary>
internal sealed partial class SignalLifetime(IHostApplicationLifetime application, ILogger<SignalLifetime> logger) : IHostLifetime, IDisposable
{
    /// <summary>Added to a signal's number, it is the exit code that shells show for a process that a signal ended.</summary>
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
            // Not by the logger, which writes later.
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
