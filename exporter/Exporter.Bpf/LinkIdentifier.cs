using System.Globalization;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf;

/// <summary>Finds what an interface is known by. May be used by any thread.</summary>
/// <param name="namespaces">Null: the kernel does not allow it.</param>
public sealed unsafe class LinkIdentifier(NetNamespaces? namespaces)
{
    private const string Directory = "/sys/class/net";

    /// <summary>Whether a namespace's number never comes back, so that it alone proves whose an interface is.</summary>
    public bool HasCookies { get; } = namespaces?.AreCookies == true;

    /// <summary>Whether it can find namespaces.</summary>
    public bool FindsNamespaces => namespaces is not null;

    /// <summary>Both as they are now: the interface can have changed since it was asked for.</summary>
    public LinkIdentity Identify(Link link) => new(FindPeerNamespace(link), FindBirth(link));

    private ulong FindPeerNamespace(Link link)
    {
        try
        {
            return link.PeerNamespaceId is { } id && namespaces is not null ? namespaces.Find(id) : 0;
        }
        catch (BpfException)
        {
            return 0;
        }
    }

    /// <summary>
    /// The inode number of the interface's directory in sysfs: the number that kernfs gives to each node, in turn, with a generation in its upper
    /// half (fs/kernfs/dir.c, __kernfs_new_node, since Linux 5.5).
    /// </summary>
    private static ulong FindBirth(Link link)
    {
        // A name that a file cannot have, an interface cannot have either (net/core/dev.c, dev_valid_name).
        var path = $"{Directory}/{link.Name}";
        try
        {
            // The file system may belong to another namespace.
            if (!int.TryParse(File.ReadAllText($"{path}/ifindex"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var ifindex) || ifindex != link.Ifindex)
            {
                return 0;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
        Libc.statx_t status;
        return Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, &status) == 0 ? status.stx_ino : 0;
    }
}
