using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A BPF_MAP_TYPE_PERCPU_ARRAY whose values are rows of counters that only grow, laid out by this version or by another. Reading is exact for all
/// that was counted before. Used by one thread at a time.
/// </summary>
public sealed class PerCpuRows
{
    private readonly BpfMap _map;
    private readonly int[]? _sources;
    private readonly ulong[] _perCpu;
    private readonly int _words;

    /// <param name="layout">The counters of the map's values.</param>
    /// <param name="fields">The fields of the rows that are read.</param>
    /// <exception cref="BpfException">The map's values are not as large as the layout says.</exception>
    public PerCpuRows(BpfMap map, MapLayout layout, RowFields fields)
    {
        _words = layout.Counters.Count;
        if (map.KeySize != sizeof(uint) || map.ValueSize != _words * sizeof(ulong))
        {
            throw new BpfException($"use the map {map.Name}: it has keys of {map.KeySize} and values of {map.ValueSize} bytes, but {_words} counters", Errno.EINVAL);
        }
        (_map, _sources) = (map, fields.Layout.Find(layout));
        _perCpu = new ulong[_words * map.Copies];
    }

    public int Id => _map.Id;

    /// <summary>Reads the sums over all CPUs.</summary>
    /// <param name="row">As long as the fields are many.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public unsafe void Read(int index, Span<ulong> row)
    {
        fixed (ulong* values = _perCpu)
        {
            var error = Libbpf.bpf_map_lookup_elem(_map.Fd, &index, values);
            if (error < 0)
            {
                throw new BpfException($"read entry {index} of the map {_map.Name}", -error);
            }
        }
        row.Clear();
        for (var copy = _perCpu.AsSpan(); !copy.IsEmpty; copy = copy[_words..])
        {
            if (_sources is null)
            {
                RowFields.Add(row, copy[.._words]);
                continue;
            }
            for (var field = 0; field < row.Length; field++)
            {
                row[field] += _sources[field] < 0 ? 0 : copy[_sources[field]];
            }
        }
    }
}
