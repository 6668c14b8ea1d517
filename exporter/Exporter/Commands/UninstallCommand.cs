using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>
/// podnet-exporter uninstall: removes what outlives the exporter in this network namespace, and nothing else. With --all, in every
/// network namespace that has state in the directory of pins.
/// </summary>
internal static class UninstallCommand
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a running exporter may take to remove everything, on a node with many interfaces, where each waits for the kernel.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <param name="stay">
    /// How long the process stays when everything is removed. The scheduler of Kubernetes does not count pods that have ended: a Job that spreads its
    /// pods over the nodes reaches all of them only if the first ones still run when the last ones are placed.
    /// </param>
    internal static async Task<int> RunAsync(ExporterOptions options, bool all, TimeSpan stay, TextWriter output, TextWriter errors)
    {
        var exitCode = await RemoveAsync(options, all, output, errors);
        if (exitCode == ExitCode.Success && stay > TimeSpan.Zero)
        {
            output.WriteLine($"ends in {stay.TotalSeconds} s, as --stay says");
            await Task.Delay(stay);
        }
        return exitCode;
    }

    private static async Task<int> RemoveAsync(ExporterOptions options, bool all, TextWriter output, TextWriter errors)
    {
        if (Capabilities.Missing() is { Count: > 0 })
        {
            errors.WriteLine(string.Join('\n', Prerequisites.FindMissing()));
            return ExitCode.NotSupported;
        }
        try
        {
            using var client = new TcClient();
            var path = options.Bpf.PinDirectory;
            if (path.Length > 0 && PinDirectory.Exists(path))
            {
                return await RemovePinnedAsync(path, client, all, output, errors) ? ExitCode.Success : ExitCode.Failure;
            }
            // A killed exporter without pins leaves filters, and nothing else; so does one whose BPF file system is gone.
            var removed = StrayFilters.RemoveOf(client, path.Length > 0 ? Path.GetFullPath(path) : null, unmarkedToo: all);
            output.WriteLine($"{(path.Length > 0 ? path : "no directory")}: nothing is pinned; removed {removed} filters");
            return ExitCode.Success;
        }
        catch (KernelException e)
        {
            errors.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    private static async Task<bool> RemovePinnedAsync(string path, TcClient client, bool all, TextWriter output, TextWriter errors)
    {
        var own = NetworkNamespaceId.ReadOwn();
        var isRemoved = true;
        if (all)
        {
            IReadOnlyList<NetworkNamespaceId> others;
            using (var root = PinDirectory.Open(path))
            {
                others = [.. PinnedState.FindNamespaces(root).Where(id => id != own)];
            }
            foreach (var other in others)
            {
                isRemoved &= await RemoveOtherAsync(path, other, output, errors);
            }
        }
        using (var root = PinDirectory.Open(path))
        {
            isRemoved &= await RemoveEarlierVersionAsync(root, all, output, errors);
            if (root.IsRemoved)
            {
                output.WriteLine($"{path}: removed");
                return isRemoved;
            }
        }
        using var pins = PinDirectory.Open(path).OpenFolder(own.Name);
        return isRemoved & await RemoveOwnAsync(pins, client, all, output, errors);
    }

    private static async Task<bool> RemoveOwnAsync(PinDirectory pins, TcClient client, bool all, TextWriter output, TextWriter errors)
    {
        if (pins.TryLock())
        {
            output.WriteLine($"{pins.Path}: removed, with {PinnedState.Remove(pins, client, unmarkedToo: all)} attached programs");
            return true;
        }
        output.WriteLine($"{pins.Path}: an exporter is running, and is asked to remove everything");
        return await WaitUntilRemovedAsync(pins, () => PinnedState.Remove(pins, client, unmarkedToo: all), output, errors);
    }

    /// <summary>The pins of another namespace can be removed from here, its filters only from inside it.</summary>
    private static async Task<bool> RemoveOtherAsync(string path, NetworkNamespaceId id, TextWriter output, TextWriter errors)
    {
        using var pins = PinDirectory.Open(path).OpenFolder(id.Name);
        if (!pins.TryLock())
        {
            output.WriteLine($"{pins.Path}: an exporter is running in another network namespace, and is asked to remove everything");
            return await WaitUntilRemovedAsync(pins, () => PinnedState.RemoveFolder(pins), output, errors);
        }
        var filters = StrayFilters.CountPinnedPrograms(pins);
        var links = PinnedState.RemoveFolder(pins);
        output.WriteLine($"{pins.Path}: removed, with {links} attached programs of another network namespace");
        if (filters > 0 && !IsGone(id))
        {
            errors.WriteLine($"{pins.Path}: filters may be left on the interfaces of that network namespace. Run 'podnet-exporter uninstall' in it.");
            return false;
        }
        return true;
    }

    /// <summary>
    /// An exporter of an earlier version has the lock of the directory itself, and removes everything that is in it. What such a one has left for
    /// this namespace goes with the folder.
    /// </summary>
    private static async Task<bool> RemoveEarlierVersionAsync(PinDirectory root, bool all, TextWriter output, TextWriter errors)
    {
        var isElsewhere = PinnedState.IsEarlierVersionElsewhere(root);
        if (isElsewhere && !all)
        {
            return true;
        }
        if (!root.TryLockShared())
        {
            output.WriteLine($"{root.Path}: an exporter of an earlier version is running, and is asked to remove everything");
            return await WaitUntilRemovedAsync(root, root.RemoveAll, output, errors);
        }
        if (isElsewhere && PinnedState.HasFlat(root))
        {
            output.WriteLine($"{root.Path}: removed {PinnedState.RemoveFlat(root)} attached programs of an earlier version in another network namespace");
        }
        return true;
    }

    /// <param name="remove">Removes it, where the exporter has ended before it came to that.</param>
    private static async Task<bool> WaitUntilRemovedAsync(PinDirectory pins, Action remove, TextWriter output, TextWriter errors)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!pins.IsRemoved)
        {
            PinnedState.AskForRemoval(pins);
            await Task.Delay(Pause, patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!pins.IsRemoved && pins.TryLock())
            {
                remove();
            }
            else if (patience.IsCancellationRequested)
            {
                PinnedState.ForgetRemoval(pins);
                errors.WriteLine($"{pins.Path} is still there: the exporter that has its lock did not answer. End it, and try again.");
                return false;
            }
        }
        if (pins.Parent is { } root)
        {
            PinnedState.RemoveIfUnused(root);
        }
        output.WriteLine($"{pins.Path}: removed");
        return true;
    }

    private static bool IsGone(NetworkNamespaceId id)
    {
        try
        {
            using var living = NetworkNamespaceList.Load();
            return living.Contains(id) == false;
        }
        catch (BpfException)
        {
            return false;
        }
    }
}
