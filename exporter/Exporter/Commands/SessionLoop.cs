using Exporter.Bpf;
using Exporter.Kubernetes;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>Counts with one session after the other, as options change.</summary>
internal static partial class SessionLoop
{
    /// <summary>Between two looks at the directory of pins: at its lock, or at whether somebody wants it removed.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>How long detaching may take at the end, less than Kubernetes waits; the rest goes with the process.</summary>
    private static readonly TimeSpan DetachBudget = TimeSpan.FromSeconds(10);

    /// <summary>How long the API server may take at the end to say whether the DaemonSet was deleted: with detaching, less than Kubernetes waits.</summary>
    private static readonly TimeSpan DaemonSetPatience = TimeSpan.FromSeconds(5);

    /// <summary>Counts with one session after the other, until the process is to end or the exporter is uninstalled.</summary>
    /// <param name="looking">Ends with a failure if option files can no longer be watched.</param>
    /// <param name="pins">Null: nothing is pinned.</param>
    internal static async Task<SessionOutcome> RunAsync(ServerHost server, LiveOptions live, NodeState state, Task looking, PinDirectory? pins, TextWriter errors)
    {
        var kernel = state.Kernel;
        NodeSession? previous = null;
        while (true)
        {
            using var changed = new CancellationTokenSource();
            // Not Cancel(), which would run the waiting code here, and in the middle of that remove the listener that is being called.
            using var listening = live.OnChange((_, _) => _ = changed.CancelAsync());
            var options = live.CurrentValue;
            var session = await NodeSession.StartAsync(options, state);
            live.ApplyInPlace = session.Apply;
            if (live.CurrentValue != options)
            {
                // They have changed while it started.
                session.Apply(live.CurrentValue);
            }
            server.Content.Set(session.Content);
            LogCounting(server.Logger, kernel.Attacher.Name, session.PodSource);
            var outcome = await WaitAsync(session, looking, pins, server.Stopping, changed.Token);
            if (outcome == SessionOutcome.End && kernel.Pins is not null)
            {
                outcome = await FindEndAsync(state, kernel.Pins, server.Logger);
            }
            await session.StopAsync(outcome switch
            {
                SessionOutcome.Remove => TimeSpan.MaxValue,
                SessionOutcome.Unpin or SessionOutcome.UnpinForSuccessor => DetachBudget,
                SessionOutcome.OptionsChanged => null,
                _ => kernel.Pins is null or { IsLost: true } ? DetachBudget : null,
            });
            if (outcome == SessionOutcome.Failed)
            {
                errors.WriteLine(looking.Exception ?? await session.Failure);
            }
            if (outcome != SessionOutcome.OptionsChanged)
            {
                return outcome;
            }
            kernel.Ledger.Restart();
            // A request that came just before may still be in this session, so it is disposed one change later.
            if (previous is not null)
            {
                await previous.DisposeAsync();
            }
            previous = session;
        }
    }

    /// <summary>Waits a little. Returns false at once when it is cancelled.</summary>
    internal static async Task<bool> TryWaitAsync(CancellationToken cancelled)
    {
        await Task.Delay(Pause, cancelled).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !cancelled.IsCancellationRequested;
    }

    /// <summary>
    /// Decides how to end: unpin where the DaemonSet was deleted. Without an answer all stays: pins that stay by mistake can be removed later, and
    /// pins that are removed by mistake are lost.
    /// </summary>
    private static async Task<SessionOutcome> FindEndAsync(NodeState state, PinDirectory pins, ILogger logger)
    {
        if (await state.FindDaemonSetAsync(DaemonSetPatience) is not var (daemonSet, found, reason))
        {
            return SessionOutcome.End;
        }
        switch (found)
        {
            case DaemonSetState.Present:
                return SessionOutcome.End;
            case DaemonSetState.Unknown:
                LogFateUnknown(logger, daemonSet.Namespace, daemonSet.Name, reason, pins.Path);
                return SessionOutcome.End;
            default:
                LogUnpinning(logger, daemonSet.Namespace, daemonSet.Name, EnumText.Lower(found), pins.Path);
                return found == DaemonSetState.Replaced ? SessionOutcome.UnpinForSuccessor : SessionOutcome.Unpin;
        }
    }

    private static async Task<SessionOutcome> WaitAsync(NodeSession session, Task looking, PinDirectory? pins, CancellationToken stopping, CancellationToken changed)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, changed);
        while (true)
        {
            if (session.Failure.IsCompleted || looking.IsFaulted)
            {
                return SessionOutcome.Failed;
            }
            if (!await TryWaitAsync(either.Token))
            {
                return stopping.IsCancellationRequested ? SessionOutcome.End : SessionOutcome.OptionsChanged;
            }
            if (pins is not null && PinnedState.IsRemovalAskedFor(pins))
            {
                return SessionOutcome.Remove;
            }
        }
    }

    [LoggerMessage(36, LogLevel.Information, "Counting by {Hook}; pods are identified by {Source}")]
    private static partial void LogCounting(ILogger logger, string hook, string source);

    [LoggerMessage(90, LogLevel.Warning, "The API server did not say whether DaemonSet {Namespace}/{Name} was deleted ({Reason}): the programs on this node keep counting, and {Directory} stays. If it was deleted for good, run 'podnet-exporter uninstall' on this node")]
    private static partial void LogFateUnknown(ILogger logger, string @namespace, string name, string reason, string directory);

    [LoggerMessage(91, LogLevel.Information, "DaemonSet {Namespace}/{Name} is {State}: detaching from every interface and removing the pins in {Directory}")]
    private static partial void LogUnpinning(ILogger logger, string @namespace, string name, string state, string directory);
}
