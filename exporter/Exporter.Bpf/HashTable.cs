using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>A BPF_MAP_TYPE_HASH that programs write to while it is read. Used by one thread at a time.</summary>
/// <typeparam name="TValue">Consists of 64-bit numbers.</typeparam>
public sealed class HashTable<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly BpfMap _map;
    private readonly HashReader<TKey, TValue> _reader;

    public HashTable(BpfMap map)
    {
        map.RequireLayout<TKey, TValue>();
        _map = map;
        _reader = new(map);
    }

    public int MaxEntries => _map.MaxEntries;

    /// <summary>How many rows there were when they were last read.</summary>
    public int Entries { get; private set; }

    /// <summary>The rows of now; they stay valid until the next call.</summary>
    /// <exception cref="BpfException">Nothing could be read.</exception>
    public ReadOnlySpan<DrainedRow<TKey, TValue>> Read()
    {
        var rows = _reader.Read(_map);
        Entries = rows.Length;
        return rows;
    }

    /// <summary>Whether the row was there.</summary>
    public unsafe bool Remove(TKey key) => Libbpf.bpf_map_delete_elem(_map.Fd, &key) switch
    {
        0 => true,
        -Errno.ENOENT => false,
        var error => throw new BpfException($"delete from the map {_map.Name}", -error),
    };
}
