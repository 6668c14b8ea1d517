using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Interfaces;
using Exporter.Kubernetes;
using Exporter.Options;
using Exporter.Signals;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>podnet-exporter run: runs the server until stopped; counts while this process holds the pin directory's lock and no uninstall is
/// requested.</summary>
internal static partial class RunCommand
{
    /// <summary>
    /// The loops block in the kernel (a drain waits for a grace period, a tcx link too), and the pool starts with as many threads as
    /// there are CPUs, which may be two: scrapes must not wait behind the loops.
    /// </summary>
    private const int MinThreads = 8;

    /// <summary>How long another exporter has to take the lock after this one has unpinned everything: it tries after each <see cref="SessionLoop.Pause"/>.</summary>
    private static readonly TimeSpan SuccessorPatience = TimeSpan.FromSeconds(2);

    /// <param name="signals">Read options of signals again when they change; null: of <see cref="AllSignals"/>.</param>
    internal static async Task<int> RunAsync(ExporterOptions options, OptionFiles files, TextWriter errors, IReadOnlyList<SignalReader>? signals = null)
    {
        if (Prerequisites.FindMissing() is { Count: > 0 } missing)
        {
            return Fail(ExitCode.NotSupported, errors, string.Join('\n', missing));
        }
        var hook = Prerequisites.ChooseHook(options.Attach.Hook, out var problem);
        if (problem is not null)
        {
            return Fail(ExitCode.NotSupported, errors, problem);
        }
        using var api = Prerequisites.OpenApi(options, out problem);
        if (problem is not null)
        {
            return Fail(ExitCode.BadOptions, errors, problem);
        }
        try
        {
            FileDescriptorLimit.Raise();
            NativeHeap.Limit();
            ThreadPool.SetMinThreads(MinThreads, MinThreads);
            // First of all: a start that fails because the port is taken has changed nothing.
            await using var server = await ServerHost.StartAsync(options.Server, files.Configuration);
            var live = new LiveOptions(files, options, TimeProvider.System, server.Own.Factory, server.LoggerFactory.CreateLogger<LiveOptions>(), signals);
            server.OnHangup(live.Look);
            return await RunAsync(server, live, hook, api, errors);
        }
        catch (FormatException e)
        {
            return Fail(ExitCode.BadOptions, errors, e.Message);
        }
        catch (BpfException e)
        {
            return Fail(ExitCode.NotSupported, errors, Prerequisites.Explain(e));
        }
        catch (Exception e) when (e is IOException or SocketException or NetlinkException)
        {
            // Kestrel: the address is taken, does not belong to this machine, or is not for this user.
            return Fail(ExitCode.Failure, errors, e.Message);
        }
    }

    private static async Task<int> RunAsync(ServerHost server, LiveOptions live, TcAttachOption hook, ApiConnection? api, TextWriter errors)
    {
        var bpf = live.CurrentValue.Bpf;
        using var pins = PinnedState.TryOpen(bpf.PinDirectory, out var unpinned);
        if (pins is not null && !PinnedState.TryTake(pins))
        {
            LogWaiting(server.Logger, pins.Path);
            server.ShowStandby(StandbyReason.Waiting, $"another exporter has the lock of {pins.Path}; this one waits until that ends");
            while (!pins.IsRemoved && !PinnedState.TryTake(pins))
            {
                if (!await SessionLoop.TryWaitAsync(server.Stopping))
                {
                    return ExitCode.Success;
                }
            }
        }
        // The lock of a directory that is gone is worth nothing. Only an uninstall removes it, which means all who were there.
        if (pins is { IsRemoved: true })
        {
            return await StandByUninstalledAsync(server);
        }
        if (pins is not null)
        {
            PinnedState.ForgetRemoval(pins);
        }
        using var watching = CancellationTokenSource.CreateLinkedTokenSource(server.Stopping);
        var looking = live.RunAsync(watching.Token);
        using var kernel = NodeKernel.Load(live.CurrentValue, hook, pins, ref unpinned);
        LogState(server.Logger, kernel, unpinned);
        using var statistics = bpf.RunStatistics ? TryEnableStatistics(server.Logger) : null;
        await using var state = new NodeState(live.CurrentValue, kernel, api, server.Own, server.LoggerFactory);
        await state.StartAsync();
        var outcome = await SessionLoop.RunAsync(server, live, state, looking, pins, errors);
        if (outcome != SessionOutcome.Remove)
        {
            // Answers read the ledger, which is unmapped at the end.
            await server.StopAsync();
        }
        if (outcome == SessionOutcome.Failed)
        {
            return ExitCode.Failure;
        }
        await watching.CancelAsync();
        await looking;
        if (outcome is SessionOutcome.Remove or SessionOutcome.Unpin or SessionOutcome.UnpinForSuccessor)
        {
            kernel.Detach();
            await RemoveAsync(outcome, pins!);
        }
        if (outcome != SessionOutcome.Remove)
        {
            return ExitCode.Success;
        }
        AllFamilies.RemoveGauges(server.Own.Factory, live.CurrentValue.Signals);
        return await StandByUninstalledAsync(server);
    }

    /// <summary>
    /// Removes pins and programs that outlive the process. After an uninstall no process in this namespace counts. The end of one DaemonSet says
    /// nothing about an exporter that waits, of the DaemonSet that replaces it or of another release: that one takes the lock of the empty folder.
    /// </summary>
    private static async Task RemoveAsync(SessionOutcome outcome, PinDirectory pins)
    {
        using var client = new TcClient();
        if (outcome != SessionOutcome.Remove)
        {
            PinnedState.Clear(pins, client);
            if (outcome == SessionOutcome.UnpinForSuccessor)
            {
                return;
            }
            pins.Unlock();
            await Task.Delay(SuccessorPatience);
            if (pins.IsRemoved || !pins.TryLock())
            {
                return;
            }
        }
        PinnedState.Remove(pins, client);
    }

    private static async Task<int> StandByUninstalledAsync(ServerHost server)
    {
        LogUninstalled(server.Logger);
        server.ShowStandby(StandbyReason.Uninstalled);
        while (await SessionLoop.TryWaitAsync(server.Stopping))
        {
        }
        return ExitCode.Success;
    }

    private static void LogState(ILogger logger, NodeKernel kernel, string unpinned)
    {
        foreach (var signal in kernel.Signals)
        {
            signal.LogState(logger, TimeProvider.System);
        }
        if (KernelSupport.MayLoseCounts)
        {
            LogMayLoseCounts(logger, KernelSupport.LosesCounts);
        }
        if (kernel.Pins is null)
        {
            LogUnpinned(logger, unpinned);
        }
        if (kernel.Layout.HasMoved)
        {
            LogMoved(logger, kernel.Pins!.Path);
        }
        if (kernel.Ledger.StartsBesideLater)
        {
            LogLater(logger, kernel.Pins!.Path);
        }
        if (kernel.Layout.Removed > 0)
        {
            LogRemovedGone(logger, kernel.Layout.Removed);
        }
        if (kernel.Layout.Undecided > 0)
        {
            LogUndecided(logger, kernel.Layout.Undecided, kernel.Pins!.Owner);
        }
    }

    private static IDisposable? TryEnableStatistics(ILogger logger)
    {
        try
        {
            return BpfStatistics.Enable();
        }
        catch (BpfException e)
        {
            LogNoStatistics(logger, e.Message);
            return null;
        }
    }

    [LoggerMessage(37, LogLevel.Information, "Moved the state of an earlier version to {Directory}, the folder of this network namespace; counters continue")]
    private static partial void LogMoved(ILogger logger, string directory);

    [LoggerMessage(38, LogLevel.Information, "Removed the pins of {Count} network namespaces that no longer exist")]
    private static partial void LogRemovedGone(ILogger logger, int count);

    [LoggerMessage(39, LogLevel.Warning, "Kept {Count} folders in {Directory}: the kernel does not say whether their network namespaces still exist. 'podnet-exporter uninstall --all' removes them")]
    private static partial void LogUndecided(ILogger logger, int count, string directory);

    [LoggerMessage(29, LogLevel.Warning, "Left the ledger of a later version in {Directory} untouched; counting from zero until that version runs again")]
    private static partial void LogLater(ILogger logger, string directory);

    [LoggerMessage(35, LogLevel.Information, "Running without pins ({Reason}): counters reset at a restart, and traffic between two runs is not counted")]
    private static partial void LogUnpinned(ILogger logger, string reason);

    [LoggerMessage(40, LogLevel.Warning, "Counting, but {Reason}")]
    private static partial void LogMayLoseCounts(ILogger logger, string reason);

    [LoggerMessage(33, LogLevel.Information, "Another exporter holds the lock of {Directory}: waiting until it stops")]
    private static partial void LogWaiting(ILogger logger, string directory);

    [LoggerMessage(34, LogLevel.Warning, "Uninstalled on request: all programs and pins are removed. Restart this process to count again")]
    private static partial void LogUninstalled(ILogger logger);

    [LoggerMessage(31, LogLevel.Warning, "Bpf:RunStatistics has no effect: it needs CAP_SYS_ADMIN, or the sysctl kernel.bpf_stats_enabled set to 1: {Reason}")]
    private static partial void LogNoStatistics(ILogger logger, string reason);

    private static int Fail(int exitCode, TextWriter errors, string message)
    {
        errors.WriteLine(message);
        return exitCode;
    }
}
