using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;

namespace Exporter.State;

/// <summary>
/// Everything of the exporter that outlives a process: in the folder of its network namespace, in one directory of a BPF file system. One
/// process has the folder's lock. Earlier versions used the directory itself, for one namespace.
/// </summary>
internal static class PinnedState
{
    private const string RemovalNote = "uninstall";

    /// <summary>A note in the directory: the namespace that an earlier version used it for. An earlier version removes everything where it reads
    /// another one.</summary>
    private const string NetworkNote = "network";

    /// <summary>The beginnings of names that earlier versions pinned in the directory itself.</summary>
    private static readonly string[] EarlierNames = ["links", "filters", "ledger_", "traffic_", "handshakes_", "handshake_links"];

    /// <summary>Opens the folder of this process's network namespace, and makes it where there is none.</summary>
    /// <param name="path">The directory; empty: none is wanted.</param>
    /// <param name="problem">Why there is none, where there is none.</param>
    internal static PinDirectory? TryOpen(string path, out string problem)
    {
        problem = "Bpf:PinDirectory is empty";
        if (path.Length == 0)
        {
            return null;
        }
        PinDirectory? root = null;
        try
        {
            root = PinDirectory.Open(path);
            return root.OpenFolder(NetworkNamespaceId.ReadOwn().Name);
        }
        catch (PinException e)
        {
            root?.Dispose();
            problem = e.Message;
            return null;
        }
    }

    /// <summary>
    /// Takes the folder's lock. An exporter of an earlier version has the lock of the directory itself; processes of this version share that
    /// one, so that an earlier one waits for them.
    /// </summary>
    /// <returns>Whether no other process counts in this namespace with this directory.</returns>
    internal static bool TryTake(PinDirectory pins)
    {
        if (!pins.TryLock())
        {
            return false;
        }
        var root = pins.Parent!;
        if (root.TryLockShared() || IsEarlierVersionElsewhere(root))
        {
            return true;
        }
        pins.Unlock();
        return false;
    }

    /// <summary>
    /// Brings the directory in order, with the folder's lock: moves the state of an earlier version that belongs to this namespace into the
    /// folder, and removes what belongs to namespaces that are gone.
    /// </summary>
    /// <exception cref="PinException">The state of this namespace cannot be moved.</exception>
    internal static PinnedLayout TakeOver(PinDirectory pins)
    {
        var root = pins.Parent!;
        var (own, earlier) = (NetworkNamespaceId.ReadOwnInode(), NetworkNamespaceId.ParseLink(root.ReadNote(NetworkNote)));
        var hasMoved = own is not null && earlier == own && TakeOverEarlierVersion(pins, root);
        if (earlier is null && own is not null)
        {
            root.Remove(NetworkNote);
            root.WriteNote(NetworkNote, $"net:[{own}]");
        }
        var (removed, undecided) = RemoveGone(pins, root, earlier == own ? null : earlier);
        return new(hasMoved, removed, undecided);
    }

    /// <summary>Whether somebody has asked the process that has the lock to remove everything.</summary>
    internal static bool IsRemovalAskedFor(PinDirectory pins) => pins.ReadNote(RemovalNote) is not null;

    /// <summary>Requests the removal. Called again and again until it is done: a process that gets the lock forgets earlier requests.</summary>
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

    /// <summary>Forgets a requested removal; a process that still waits for it requests it again.</summary>
    internal static void ForgetRemoval(PinDirectory pins) => pins.Remove(RemovalNote);

    /// <summary>
    /// Removes every link, filter, map and pin of this network namespace, its folder, and the directory if nothing else is in it. Called with the
    /// lock.
    /// </summary>
    /// <param name="unmarkedToo">Also filters that do not say whose they are, as filters of earlier versions.</param>
    /// <returns>How many programs were attached.</returns>
    /// <exception cref="PinException">Something cannot be removed.</exception>
    internal static int Remove(PinDirectory pins, TcClient client, bool unmarkedToo = false)
    {
        var programs = Clear(pins, client, unmarkedToo);
        RemoveFolder(pins);
        RemoveIfUnused(pins.Parent!);
        return programs;
    }

    /// <summary>
    /// Removes what <see cref="Remove"/> does, but leaves the folder, empty: a process that waits for its lock then counts. One that sees the
    /// folder removed does not count any more, as uninstall wants it.
    /// </summary>
    /// <inheritdoc cref="Remove"/>
    internal static int Clear(PinDirectory pins, TcClient client, bool unmarkedToo = false)
    {
        var root = pins.Parent!;
        var isEarlier = pins.IsOfEarlierVersion;
        var links = 0;
        if (NetworkNamespaceId.ReadOwnInode() is { } own && NetworkNamespaceId.ParseLink(root.ReadNote(NetworkNote)) == own)
        {
            isEarlier |= FindFlat(root).Count > 0;
            links = RemoveFlat(root);
        }
        var filters = StrayFilters.Remove(client, pins, programs: null, unmarkedToo || isEarlier);
        return links + filters + RemoveContent(pins, pins.List());
    }

    /// <summary>Removes a folder with all that is in it. Called with its lock.</summary>
    /// <returns>How many links were pinned there.</returns>
    internal static int RemoveFolder(PinDirectory pins)
    {
        var links = RemoveContent(pins, pins.List());
        pins.RemoveAll();
        return links;
    }

    /// <summary>Removes the state of an earlier version from the directory, whichever namespace it belongs to.</summary>
    /// <returns>How many links were pinned there.</returns>
    internal static int RemoveFlat(PinDirectory root) => RemoveContent(root, FindFlat(root));

    /// <summary>Removes the directory unless a namespace still has state in it.</summary>
    internal static void RemoveIfUnused(PinDirectory root)
    {
        if (root.List().All(name => name is NetworkNote or RemovalNote))
        {
            root.Remove(NetworkNote);
            root.Remove(RemovalNote);
            root.TryRemoveEmpty();
        }
    }

    /// <summary>The namespaces that have a folder.</summary>
    internal static IReadOnlyList<NetworkNamespaceId> FindNamespaces(PinDirectory root) =>
        [.. root.List().Select(NetworkNamespaceId.TryParse).OfType<NetworkNamespaceId>()];

    /// <summary>Whether an earlier version has left state in the directory itself.</summary>
    internal static bool HasFlat(PinDirectory root) => FindFlat(root).Count > 0;

    /// <summary>Whether a running exporter of an earlier version, which has the directory's lock, counts in another namespace.</summary>
    internal static bool IsEarlierVersionElsewhere(PinDirectory root) =>
        NetworkNamespaceId.ParseLink(root.ReadNote(NetworkNote)) is { } other && other != NetworkNamespaceId.ReadOwnInode();

    /// <summary>
    /// Pins stay what they are while they are moved, so programs count meanwhile. A process that is killed in the midst leaves the note that the folder
    /// is of an earlier version, and the next one moves the rest.
    /// </summary>
    private static bool TakeOverEarlierVersion(PinDirectory pins, PinDirectory root)
    {
        var flat = FindFlat(root);
        if (flat.Count == 0)
        {
            return false;
        }
        if (!pins.IsOfEarlierVersion && pins.List().Any(name => name != RemovalNote))
        {
            // After this version an earlier one has run for a while, beside the folder left here. The folder's totals, which are greater, continue.
            RemoveFlat(root);
            pins.IsOfEarlierVersion = true;
            return false;
        }
        pins.IsOfEarlierVersion = true;
        foreach (var name in flat)
        {
            root.Move(name, pins);
        }
        return true;
    }

    /// <param name="earlier">The inode number of the other namespace that an earlier version has used the directory for; null: there is none.</param>
    private static (int Removed, int Undecided) RemoveGone(PinDirectory pins, PinDirectory root, ulong? earlier)
    {
        var others = FindNamespaces(root).Where(id => id.Name != Path.GetFileName(pins.Path)).ToList();
        var hasFlat = earlier is not null && HasFlat(root);
        if (others.Count == 0 && !hasFlat)
        {
            return default;
        }
        var (removed, undecided) = (0, 0);
        using var living = TryLoadList();
        foreach (var id in others)
        {
            Count(IsThere(living, id), () => TryRemoveGone(root.Path, id));
        }
        if (hasFlat)
        {
            Count(IsThere(living, new(earlier!.Value, IsInode: true)), () => TryRemoveGoneFlat(root));
        }
        return (removed, undecided);

        void Count(bool? isThere, Func<bool> tryRemove)
        {
            if (isThere == false && tryRemove())
            {
                removed++;
            }
            else if (isThere != true)
            {
                undecided++;
            }
        }
    }

    private static NetworkNamespaceList? TryLoadList()
    {
        try
        {
            return NetworkNamespaceList.Load();
        }
        catch (BpfException)
        {
            return null;
        }
    }

    private static bool? IsThere(NetworkNamespaceList? living, NetworkNamespaceId id)
    {
        try
        {
            return living?.Contains(id);
        }
        catch (BpfException)
        {
            return null;
        }
    }

    private static bool TryRemoveGone(string root, NetworkNamespaceId id)
    {
        try
        {
            // With a directory of its own, which the folder disposes.
            using var folder = PinDirectory.Open(root).OpenFolder(id.Name);
            if (!folder.TryLock())
            {
                return false;
            }
            RemoveFolder(folder);
            return true;
        }
        catch (PinException)
        {
            return false;
        }
    }

    private static bool TryRemoveGoneFlat(PinDirectory root)
    {
        try
        {
            RemoveFlat(root);
            root.Remove(NetworkNote);
            return true;
        }
        catch (PinException)
        {
            return false;
        }
    }

    /// <summary>Pins of an earlier version in the directory itself. Other names there are not ours.</summary>
    private static List<string> FindFlat(PinDirectory root) =>
        [.. root.List().Where(name => EarlierNames.Any(earlier => name.StartsWith(earlier, StringComparison.Ordinal)))];

    /// <summary>Folders of links first: no program counts any more when the maps go.</summary>
    /// <returns>How many links there were.</returns>
    private static int RemoveContent(PinDirectory pins, IReadOnlyList<string> names)
    {
        var (folders, others) = (names.Where(IsOfLinks).ToList(), names.Where(name => !IsOfLinks(name)));
        var links = folders.Sum(folder => pins.List(folder).Count);
        foreach (var name in folders.Concat(others))
        {
            pins.Remove(name);
        }
        return links;

        static bool IsOfLinks(string name) => name.EndsWith("links", StringComparison.Ordinal);
    }
}
