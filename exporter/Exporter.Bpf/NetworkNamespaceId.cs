using System.Globalization;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// What a network namespace is known by outside of it. Its cookie is given to no other namespace until the machine is started again. Before Linux
/// 5.14 a process cannot ask for its own (SO_NETNS_COOKIE), and the namespace is known by its inode number, which a later namespace may get.
/// </summary>
/// <param name="Number">Not 0.</param>
public sealed record NetworkNamespaceId(ulong Number, bool IsInode)
{
    private const string InodePrefix = "inode_";
    private const string File = "/proc/self/ns/net";

    /// <summary>As the name of a folder.</summary>
    public string Name => (IsInode ? InodePrefix : "") + Number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Null for a name that is not a namespace's.</summary>
    public static NetworkNamespaceId? TryParse(string name)
    {
        var isInode = name.StartsWith(InodePrefix, StringComparison.Ordinal);
        var isNumber = ulong.TryParse(name.AsSpan(isInode ? InodePrefix.Length : 0), NumberStyles.None, CultureInfo.InvariantCulture, out var number);
        return isNumber && number != 0 ? new(number, isInode) : null;
    }

    /// <summary>The namespace of the calling thread.</summary>
    /// <exception cref="PinException">The kernel does not say which it is.</exception>
    public static NetworkNamespaceId ReadOwn()
    {
        if (ReadOwnCookie() is { } cookie)
        {
            return new(cookie, IsInode: false);
        }
        return ReadOwnInode() is { } inode
            ? new(inode, IsInode: true)
            : throw new PinException($"{File} cannot be read, so the network namespace of this process is not known; mount /proc");
    }

    /// <summary>The inode number of the calling process's namespace.</summary>
    public static ulong? ReadOwnInode() => ParseLink(new FileInfo(File).LinkTarget);

    /// <summary>The inode number in a text like <c>net:[4026531840]</c>, as links in /proc/PID/ns have it.</summary>
    public static ulong? ParseLink(string? text) =>
        text is ['n', 'e', 't', ':', '[', .. var number, ']'] && ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var inode) ? inode : null;

    private static unsafe ulong? ReadOwnCookie()
    {
        using var socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        ulong cookie;
        uint length = sizeof(ulong);
        return !socket.IsInvalid && Libc.getsockopt(socket, Libc.SOL_SOCKET, Libc.SO_NETNS_COOKIE, &cookie, &length) == 0 ? cookie : null;
    }
}
