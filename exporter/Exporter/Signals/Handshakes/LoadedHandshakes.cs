using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Signals.Objects;

namespace Exporter.Signals.Handshakes;

/// <summary>The handshake programs that are attached, or the reasons why none are. Owns them.</summary>
/// <param name="programs">Null if no hook works, or none is wanted.</param>
/// <param name="option">The option that they were attached by.</param>
/// <param name="seesRequests">Whether a server's requests that fail are seen.</param>
/// <param name="problems">Why a hook is not attached, one sentence each.</param>
/// <param name="untried">Why the programs could not be tried; empty if they have proven to work.</param>
/// <param name="pins">Null: nothing is pinned.</param>
internal sealed partial class LoadedHandshakes(
    HandshakePrograms? programs, HandshakeAttachOption option, bool seesRequests, IReadOnlyList<string> problems, string untried, PinDirectory? pins) : LoadedSignal
{
    private const string Off = "off";
    private const string Unavailable = "unavailable";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stop = new();
    private Task _retrying = Task.CompletedTask;

    internal static IReadOnlyList<string> MapNames { get; } = ["handshakes", "handshakes_late"];

    internal override bool IsCounting => programs is not null;

    /// <summary>Handshakes that are off now may be counted again after the next start.</summary>
    internal override IEnumerable<int> Pairs => programs?.Handshakes.Pairs ?? (pins is null ? [] : HandshakePrograms.FindPairs(pins));

    internal override IReadOnlyList<MapUsage> Maps => programs is null
        ? []
        :
        [
            new(MapNames[0], programs.Handshakes.Current.MaxEntries, () => programs.Handshakes.Current.Entries),
            new(MapNames[1], programs.Retransmitting.MaxEntries, () => programs.Retransmitting.Entries),
        ];

    internal override IReadOnlyList<(string Name, string Hook)> Hooks =>
    [
        ("handshake", programs is not null ? HandshakeTrial.Name(programs.AttachType) : option == HandshakeAttachOption.Off ? Off : Unavailable),
        ("handshake_requests", seesRequests ? HandshakeTrial.Name(HandshakeAttachType.Kprobe) : option is HandshakeAttachOption.Off or HandshakeAttachOption.Tracepoint ? Off : Unavailable),
    ];

    internal override IReadOnlyList<(string Name, string Text)> CheckLines =>
    [
        ("handshakes", programs is not null
            ? $"{HandshakeTrial.Name(programs.AttachType)} will be used{(seesRequests ? ", and kprobes for servers' failed requests" : "")}"
            : option == HandshakeAttachOption.Off ? Off : Unavailable),
        .. untried.Length > 0 ? [("", $"not tried: {untried}")] : (IEnumerable<(string, string)>)[],
        .. problems.Select(problem => ("", problem.Split('\n')[0])),
    ];

    internal override IReplaceable? Object => programs;

    internal HandshakePrograms? Programs => programs;

    internal override SignalDrain? Open(Signal signal, SessionContext context)
    {
        // Losses of earlier processes stay counted while handshakes are off.
        var losses = new HandshakeLosses(context.Metrics, context.Ledger);
        return programs is null ? null : new HandshakeDrain(programs.Handshakes, programs, losses, ((HandshakeSignal)signal).Options.Buckets, context);
    }

    /// <summary>Detaches the programs: they count nothing that could be used.</summary>
    internal LoadedHandshakes GiveUp(string problem)
    {
        Detach();
        if (pins is not null)
        {
            HandshakePrograms.RemovePinned(pins);
        }
        return new(null, option, seesRequests: false, [problem], "", pins);
    }

    /// <summary>
    /// Also begins to try programs that could not be tried when they were attached, until the trial is possible, and logs its result. They count
    /// meanwhile.
    /// </summary>
    internal override void LogState(ILogger logger, TimeProvider time)
    {
        if (programs is null && problems.Count > 0)
        {
            LogNone(logger, string.Join("; ", problems));
        }
        else if (problems.Count > 0)
        {
            LogSome(logger, string.Join("; ", problems));
        }
        if (programs is not null && untried.Length > 0)
        {
            LogUntried(logger, HandshakeTrial.Name(programs.AttachType), untried);
            _retrying = RetryAsync(programs, logger, time);
        }
    }

    internal override void Detach()
    {
        StopTrial();
        programs?.Dispose();
    }

    /// <summary>Detaches, unless the programs are pinned.</summary>
    public override void Dispose()
    {
        if (pins is null or { IsLost: true })
        {
            Detach();
        }
    }

    private void StopTrial()
    {
        _stop.Cancel();
        // A trial reads the programs' maps.
        _retrying.Wait();
    }

    private async Task RetryAsync(HandshakePrograms tried, ILogger logger, TimeProvider time)
    {
        var hook = HandshakeTrial.Name(tried.AttachType);
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

    [LoggerMessage(30, LogLevel.Error, "TCP handshakes cannot be measured on this kernel; traffic is still counted: {Reasons}")]
    private static partial void LogNone(ILogger logger, string reasons);

    [LoggerMessage(32, LogLevel.Information, "Measuring TCP handshakes with limited coverage: {Reasons}")]
    private static partial void LogSome(ILogger logger, string reasons);

    [LoggerMessage(110, LogLevel.Warning, "Counting TCP handshakes by {Hook}, which could not be tested yet: {Reason}; retrying every 5 s")]
    private static partial void LogUntried(ILogger logger, string hook, string reason);

    [LoggerMessage(111, LogLevel.Information, "Tested {Hook}: it sees TCP handshakes")]
    private static partial void LogWorks(ILogger logger, string hook);

    [LoggerMessage(112, LogLevel.Error, "{Hook} misses some TCP handshakes: {Reason}; set Handshake:Hook to another hook and restart")]
    private static partial void LogBlind(ILogger logger, string hook, string reason);
}
