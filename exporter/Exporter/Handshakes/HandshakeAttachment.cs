using System.Net.Sockets;
using Exporter.Bpf;

namespace Exporter.Handshakes;

/// <summary>The handshake programs that are attached. Owns them.</summary>
/// <param name="programs">Null if no hook works, or none is wanted.</param>
/// <param name="seesRequests">Whether a server's requests that fail are seen.</param>
/// <param name="problems">Why a hook is not attached, one sentence each.</param>
/// <param name="untried">Why the programs could not be tried; empty if they have proven to work.</param>
internal sealed partial class HandshakeAttachment(TcpHandshakePrograms? programs, bool seesRequests, IReadOnlyList<string> problems, string untried) : IDisposable
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stop = new();
    private Task _retrying = Task.CompletedTask;

    internal TcpHandshakePrograms? Programs => programs;

    internal bool SeesRequests => seesRequests;

    internal IReadOnlyList<string> Problems => problems;

    internal string Untried => untried;

    /// <summary>
    /// Tries programs that could not be tried when they were attached, until the trial is possible, and logs what it shows. They count
    /// meanwhile.
    /// </summary>
    internal void RetryTrial(ILogger logger, TimeProvider time)
    {
        if (programs is not null && untried.Length > 0)
        {
            LogUntried(logger, HandshakeHooks.Name(programs.Hook), untried);
            _retrying = RetryAsync(programs, logger, time);
        }
    }

    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }
        _stop.Cancel();
        // A trial reads the programs' maps.
        _retrying.Wait();
        programs?.Dispose();
    }

    private async Task RetryAsync(TcpHandshakePrograms tried, ILogger logger, TimeProvider time)
    {
        var hook = HandshakeHooks.Name(tried.Hook);
        while (true)
        {
            await Task.Delay(RetryInterval, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (_stop.IsCancellationRequested)
            {
                return;
            }
            try
            {
                var problem = await LoopbackTrial.FindUnseenAsync(tried.Steps, _stop.Token).ConfigureAwait(false);
                if (problem.Length == 0)
                {
                    LogWorks(logger, hook);
                }
                else
                {
                    LogBlind(logger, hook, problem);
                }
                return;
            }
            catch (SocketException)
            {
                // Logged once, when the trial was first not possible.
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (BpfException e)
            {
                LogBlind(logger, hook, e.Message);
                return;
            }
        }
    }

    [LoggerMessage(110, LogLevel.Warning, "Counting TCP handshakes by {Hook}, which could not be tested yet: {Reason}; retrying every 5 s")]
    private static partial void LogUntried(ILogger logger, string hook, string reason);

    [LoggerMessage(111, LogLevel.Information, "Tested {Hook}: it sees TCP handshakes")]
    private static partial void LogWorks(ILogger logger, string hook);

    [LoggerMessage(112, LogLevel.Error, "{Hook} misses some TCP handshakes: {Reason}; set Handshake:Hook to another hook and restart")]
    private static partial void LogBlind(ILogger logger, string hook, string reason);
}
