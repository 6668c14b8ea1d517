using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>A BPF_MAP_TYPE_ARRAY, which user space writes and programs read, or the other way round.</summary>
public sealed class ArrayMap<TValue>
    where TValue : unmanaged
{
    private readonly BpfMap _map;

    public ArrayMap(BpfMap map)
    {
        map.RequireLayout<uint, TValue>();
        _map = map;
    }

    /// <exception cref="BpfException">The kernel refused.</exception>
    public unsafe TValue Read(int index)
    {
        TValue value = default;
        var error = Libbpf.bpf_map_lookup_elem(_map.Fd, &index, &value);
        return error < 0 ? throw new BpfException($"read entry {index} of the map {_map.Name}", -error) : value;
    }

    /// <summary>Writes an entry. Programs that read it meanwhile find each 32-bit number as it was or as it is.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public unsafe void Write(int index, TValue value)
    {
        var error = Libbpf.bpf_map_update_elem(_map.Fd, &index, &value, 0);
        if (error < 0)
        {
            throw new BpfException($"write entry {index} of the map {_map.Name}", -error);
        }
    }
}
