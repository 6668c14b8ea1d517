using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// bpf/netns/netns_list.bpf.c, loaded: says which network namespaces the machine has, also those that no process of this one can see.
/// </summary>
public sealed class NetworkNamespaceList : IDisposable
{
    private readonly BpfObject _object;
    private readonly BpfMap _searched;
    private readonly BpfProgram _find;

    private NetworkNamespaceList(BpfObject loaded)
    {
        _object = loaded;
        _find = loaded.Program("podnet_find_netns");
        _searched = loaded.Map("netns_searched");
        _searched.RequireLayout<uint, NetnsSearch>();
    }

    /// <exception cref="BpfException">The kernel refused the program.</exception>
    public static NetworkNamespaceList Load()
    {
        var opened = BpfObject.OpenEmbedded("netns_list");
        try
        {
            opened.Load();
            return new(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether the namespace exists. One that is known by its inode number may be a later one that has got the number. Null where it was not found
    /// and there are too many namespaces to look at all of them.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public unsafe bool? Contains(NetworkNamespaceId id)
    {
        var slot = 0;
        var search = new NetnsSearch(id.IsInode ? 0 : id.Number, id.IsInode ? id.Number : 0, 0, 0);
        var error = Libbpf.bpf_map_update_elem(_searched.Fd, &slot, &search, 0);
        if (error == 0)
        {
            _find.Run(0);
            error = Libbpf.bpf_map_lookup_elem(_searched.Fd, &slot, &search);
        }
        return error < 0 ? throw new BpfException("look for a network namespace", -error) : search.Found != 0 ? true : search.Complete != 0 ? false : null;
    }

    public void Dispose()
    {
        _searched.Dispose();
        _object.Dispose();
    }
}
