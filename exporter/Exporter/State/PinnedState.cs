using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;

namespace Exporter.State;

/// <summary>Everything of the exporter that outlives a process: under one directory of a BPF file system, whose lock one process has.</summary>
internal static class PinnedState
{
    private const string RemovalNote = "uninstall";
    private const string NetworkNote = "network";
    private const string NetworkFile = "/proc/self/ns/net";

    /// <summary>Opens the directory, and makes it where there is none.</summary>
    /// <param name="path">Empty: none is wanted.</param>
    /// <param name="problem">Why there is none, where there is none.</param>
    internal static PinDirectory? TryOpen(string path, out string problem)
    {
        problem = "Bpf:PinDirectory is empty";
        try
        {
            return path.Length > 0 ? PinDirectory.Open(path) : null;
        }
        catch (PinException e)
        {
            problem = e.Message;
            return null;
        }
    }

    /// <summary>
    /// Of what a process in another network namespace has left, nothing is of use: its interfaces have the same indexes, and are others.
    /// Called with the lock.
    /// </summary>
    /// <returns>Whether there was such, which is removed.</returns>
    /// <exception cref="PinException">It cannot be removed.</exception>
    internal static bool RemoveForeign(PinDirectory pins)
    {
        var network = new FileInfo(NetworkFile).LinkTarget ?? "";
        var former = pins.ReadNote(NetworkNote);
        if (former == network)
        {
            return false;
        }
        RemoveContent(pins);
        pins.WriteNote(NetworkNote, network);
        return former is not null;
    }

    /// <summary>Whether somebody has asked the process that has the lock to remove everything.</summary>
    internal static bool IsRemovalAskedFor(PinDirectory pins) => pins.ReadNote(RemovalNote) is not null;

    /// <summary>Called again and again, until it is done: whoever comes to have the lock forgets what was asked for before.</summary>
    internal static void AskForRemoval(PinDirectory pins)
    {
        try
        {
            if (!IsRemovalAskedFor(pins))
            {
                pins.WriteNote(RemovalNote, "asked");
            }
        }
        catch (PinException) when (pins.IsRemoved || IsRemovalAskedFor(pins))
        {
            // It has just been done, or somebody else has asked.
        }
    }

    /// <summary>Nobody waits for it any more; or whoever does asks again.</summary>
    internal static void ForgetRemoval(PinDirectory pins) => pins.Remove(RemovalNote);

    /// <summary>Removes every link, filter, map and pin, and the directory. Called with the lock.</summary>
    /// <returns>How many programs were attached.</returns>
    /// <exception cref="PinException">Something cannot be removed.</exception>
    internal static int Remove(PinDirectory pins, RouteClient client)
    {
        var links = RemoveContent(pins);
        var filters = ClsactHook.RemoveLeftovers(client);
        pins.RemoveAll();
        return links + filters;
    }

    /// <summary>Links first: nobody counts when the maps go.</summary>
    private static int RemoveContent(PinDirectory pins)
    {
        var links = TcxHook.RemovePinned(pins);
        TcpHandshakePrograms.RemovePinned(pins);
        foreach (var name in pins.List())
        {
            pins.Remove(name);
        }
        return links;
    }
}
