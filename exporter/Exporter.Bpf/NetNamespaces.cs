using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// bpf/identity/netns.bpf.c, loaded: finds the number that the programs know a network namespace by. From Linux 5.12 on it is a cookie, which
/// never comes back; before, the inode number of /proc/PID/ns/net, which may be given to another namespace when this one is gone.
/// </summary>
public sealed class NetNamespaces : IDisposable
{
    /// <summary>The object's name.</summary>
    public const string ObjectName = "netns";

    private const int Own = -1;

    private readonly BpfObject _object;
    private readonly BpfProgram _program;
    private readonly BpfMap _found;
    private readonly Lock _lock = new();

    private NetNamespaces(BpfObject loaded)
    {
        (_object, _program, _found) = (loaded, loaded.Program("podnet_netns"), loaded.Map("netns_found"));
        _found.RequireLayout<uint, NetnsFound>();
    }

    /// <exception cref="BpfException">The kernel refused it.</exception>
    public static NetNamespaces Load()
    {
        var opened = BpfObject.OpenEmbedded(ObjectName);
        try
        {
            opened.Load();
            var namespaces = new NetNamespaces(opened);
            if (namespaces.FindOwn() == 0)
            {
                throw new BpfException("find this network namespace by its BPF object", Errno.ENOENT);
            }
            return namespaces;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>The namespace of the calling thread.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public ulong FindOwn() => Run(Own).Number;

    /// <summary>The namespace that has this id in the one of the calling thread; 0 where there is none. May be called by any thread.</summary>
    /// <param name="namespaceId">As <see cref="Netlink.Link.PeerNamespaceId"/>.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public ulong Find(int namespaceId) => namespaceId < 0 ? 0 : Run(namespaceId).Number;

    /// <summary>Whether the numbers never come back.</summary>
    public bool AreCookies => Run(Own).IsCookie != 0;

    public void Dispose()
    {
        _found.Dispose();
        _object.Dispose();
    }

    private unsafe NetnsFound Run(int id)
    {
        lock (_lock)
        {
            _program.Run(id);
            var slot = 0;
            NetnsFound found;
            var error = Libbpf.bpf_map_lookup_elem(_found.Fd, &slot, &found);
            return error < 0 ? throw new BpfException($"read the map {_found.Name}", -error) : found;
        }
    }
}
