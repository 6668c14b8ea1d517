using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>podnet-exporter uninstall: removes what outlives the exporter on this machine, and nothing else.</summary>
internal static class UninstallCommand
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a running exporter may take to remove everything; that of a node with many interfaces, where each waits for the kernel.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    internal static async Task<int> RunAsync(ExporterOptions options, TextWriter output, TextWriter errors)
    {
        if (Capabilities.Missing() is { Count: > 0 })
        {
            errors.WriteLine(string.Join('\n', Prerequisites.FindMissing()));
            return ExitCode.NotSupported;
        }
        try
        {
            using var client = new RouteClient();
            return await RemoveAsync(options.Bpf.PinDirectory, client, output, errors);
        }
        catch (Exception e) when (e is BpfException or NetlinkException)
        {
            errors.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    private static async Task<int> RemoveAsync(string path, RouteClient client, TextWriter output, TextWriter errors)
    {
        if (path.Length > 0 && PinDirectory.Exists(path))
        {
            using var pins = PinDirectory.Open(path);
            if (pins.TryLock())
            {
                output.WriteLine($"{path}: removed, with {PinnedState.Remove(pins, client)} attached programs");
                return ExitCode.Success;
            }
            output.WriteLine($"{path}: an exporter is running, and is asked to remove everything");
            using var patience = new CancellationTokenSource(Patience);
            while (!pins.IsRemoved)
            {
                PinnedState.AskForRemoval(pins);
                await Task.Delay(Pause, patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (!pins.IsRemoved && pins.TryLock())
                {
                    // It has ended before it came to that.
                    PinnedState.Remove(pins, client);
                }
                else if (patience.IsCancellationRequested)
                {
                    PinnedState.ForgetRemoval(pins);
                    errors.WriteLine($"{path} is still there: the exporter that has its lock did not answer. End it, and try again.");
                    return ExitCode.Failure;
                }
            }
            output.WriteLine($"{path}: removed");
            return ExitCode.Success;
        }
        // Without pins a killed exporter leaves filters, and nothing else.
        output.WriteLine($"{(path.Length > 0 ? path : "no directory")}: nothing is pinned; removed {ClsactHook.RemoveLeftovers(client)} filters");
        return ExitCode.Success;
    }
}
