using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// Reads and empties a BPF_MAP_TYPE_HASH or BPF_MAP_TYPE_PERCPU_HASH in batches. What a program adds to a row between its reading and its
/// deletion is lost. So this is exact only for a map at rest, which is what <see cref="DoubleBufferedMap{TKey, TValue}"/> makes of it.
/// </summary>
internal sealed class HashReader<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private const int FirstBatchBytes = 64 << 10;
    private const int SmallestBatch = 16;

    private readonly int _copies;

    /// <summary>How many counters one copy of a value has in the map.</summary>
    private readonly int _words;

    private readonly RowFields? _fields;
    private readonly int[]? _sources;
    private readonly ulong[] _copy;
    private TKey[] _keys = [];
    private ulong[] _values = [];
    private DrainedRow<TKey, TValue>[] _rows = [];
    private int _count;

    /// <param name="map">One that is as those to be read.</param>
    /// <param name="fields">The fields of its values; null: values are not added up.</param>
    /// <param name="sources">Where in the map's values each field is, as <see cref="MapLayout.Find"/> has it; null: as in the type.</param>
    internal unsafe HashReader(BpfMap map, RowFields? fields = null, int[]? sources = null)
    {
        (_copies, _words, _fields, _sources) = (map.Copies, map.ValueSize / sizeof(ulong), fields, sources);
        _copy = new ulong[sizeof(TValue) / sizeof(ulong)];
        Resize(Math.Max(SmallestBatch, FirstBatchBytes / (sizeof(TKey) + (map.ValueSize * map.Copies))));
    }

    /// <summary>
    /// The map's rows, which stay in it, and stay valid here until the next call: those that were there all the time, and some of those that
    /// came and went. Allocates only when there are more than ever before.
    /// </summary>
    /// <exception cref="BpfException">Not all could be read.</exception>
    internal unsafe ReadOnlySpan<DrainedRow<TKey, TValue>> Read(BpfMap map)
    {
        _count = 0;
        var end = false;
        // The cursor is a bucket number, at least four bytes (kernel/bpf/hashtab.c).
        ulong cursor = 0;
        var opts = new Libbpf.bpf_map_batch_opts { sz = (nuint)sizeof(Libbpf.bpf_map_batch_opts) };
        for (var first = true; !end; first = false)
        {
            uint count;
            int error;
            do
            {
                count = (uint)_keys.Length;
                fixed (TKey* keys = _keys)
                fixed (ulong* values = _values)
                {
                    error = Libbpf.bpf_map_lookup_batch(map.Fd, first ? null : &cursor, &cursor, keys, values, &count, &opts);
                }
                if (error == -Errno.ENOSPC)
                {
                    Resize(_keys.Length * 2);
                }
            }
            while (error is -Errno.ENOSPC or -Errno.EINTR);

            end = error < 0;
            if (end && error != -Errno.ENOENT)
            {
                throw new BpfException($"read the map {map.Name}", -error);
            }
            if (_rows.Length < _count + count)
            {
                // By a quarter: of a full map this is the largest array of the process.
                Array.Resize(ref _rows, Math.Max(_count + (int)count, _rows.Length / 4 * 5));
            }
            for (var row = 0; row < count; row++)
            {
                _rows[_count++] = new(_keys[row], Sum(_values.AsSpan(row * _copies * _words, _copies * _words)));
            }
        }
        return _rows.AsSpan(0, _count);
    }

    /// <summary>Deletes the rows of the last read from the map.</summary>
    /// <exception cref="BpfException">Some of it is still there; it has to be read again before this is tried again.</exception>
    internal unsafe void Clear(BpfMap map)
    {
        var opts = new Libbpf.bpf_map_batch_opts { sz = (nuint)sizeof(Libbpf.bpf_map_batch_opts) };
        fixed (TKey* keys = _keys)
        {
            var (done, error) = (0, 0);
            while (done < _count && error is 0 or -Errno.EINTR)
            {
                var count = (uint)Math.Min(_keys.Length, _count - done);
                for (var i = 0; i < count; i++)
                {
                    keys[i] = _rows[done + i].Key;
                }
                error = Libbpf.bpf_map_delete_batch(map.Fd, keys, &count, &opts);
                done += (int)count;
            }
            if (error < 0)
            {
                throw new BpfException($"empty the map {map.Name}", -error);
            }
        }
        _count = 0;
    }

    private void Resize(int batch)
    {
        _keys = new TKey[batch];
        _values = new ulong[batch * _copies * _words];
    }

    /// <summary>Over the CPUs.</summary>
    private TValue Sum(ReadOnlySpan<ulong> copies)
    {
        if (_sources is null)
        {
            return PerCpu.Sum(MemoryMarshal.Cast<ulong, TValue>(copies), _fields);
        }
        TValue sum = default;
        var counters = RowFields.CountersOf(ref sum);
        for (; !copies.IsEmpty; copies = copies[_words..])
        {
            for (var i = 0; i < counters.Length; i++)
            {
                _copy[i] = _sources[i] < 0 ? 0 : copies[_sources[i]];
            }
            _fields!.Merge(counters, _copy);
        }
        return sum;
    }
}
