using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>One key of a map and its value, over all CPUs where each has its own.</summary>
public readonly record struct DrainedRow<TKey, TValue>(TKey Key, TValue Value);

/// <summary>
/// Reads and empties a BPF_MAP_TYPE_HASH or BPF_MAP_TYPE_PERCPU_HASH in batches. The kernel copies and deletes row by row while
/// programs may run: what a program adds to a row between its copy and its deletion is lost. So this is exact only for a map at
/// rest, which is what <see cref="DoubleBufferedMap{TKey, TValue}"/> makes of it.
/// </summary>
internal sealed class HashReader<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private const int FirstBatchBytes = 64 << 10;
    private const int SmallestBatch = 16;

    private readonly int _copies;
    private TKey[] _keys = [];
    private TValue[] _values = [];
    private DrainedRow<TKey, TValue>[] _rows = [];

    /// <param name="copies">How many values a key has, as <see cref="BpfMap.Copies"/>.</param>
    internal unsafe HashReader(int copies)
    {
        _copies = copies;
        Resize(Math.Max(SmallestBatch, FirstBatchBytes / (sizeof(TKey) + (sizeof(TValue) * copies))));
    }

    /// <summary>
    /// The map's rows, which are gone from it; they stay valid until the next call. Allocates only when there are more than ever before.
    /// </summary>
    /// <param name="complete">
    /// Whether the map is empty now. An error behind the first batch ends the call with what there is: these rows are out of the map
    /// already, the others stay in it.
    /// </param>
    /// <exception cref="BpfException">Nothing could be read.</exception>
    internal ReadOnlySpan<DrainedRow<TKey, TValue>> ReadAndClear(BpfMap map, out bool complete) => Read(map, clear: true, out complete);

    /// <summary>The map's rows, which stay in it: those that were there all the time, and some of those that came and went.</summary>
    /// <exception cref="BpfException">Nothing could be read.</exception>
    internal ReadOnlySpan<DrainedRow<TKey, TValue>> Read(BpfMap map) => Read(map, clear: false, out _);

    private unsafe ReadOnlySpan<DrainedRow<TKey, TValue>> Read(BpfMap map, bool clear, out bool complete)
    {
        complete = true;
        var total = 0;
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
                fixed (TValue* values = _values)
                {
                    var start = first ? null : &cursor;
                    error = clear
                        ? Libbpf.bpf_map_lookup_and_delete_batch(map.Fd, start, &cursor, keys, values, &count, &opts)
                        : Libbpf.bpf_map_lookup_batch(map.Fd, start, &cursor, keys, values, &count, &opts);
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
                complete = false;
                return total > 0 ? _rows.AsSpan(0, total) : throw new BpfException($"{(clear ? "drain" : "read")} the map {map.Name}", -error);
            }
            if (_rows.Length < total + count)
            {
                Array.Resize(ref _rows, Math.Max(total + (int)count, _rows.Length * 2));
            }
            for (var row = 0; row < count; row++)
            {
                _rows[total++] = new(_keys[row], PerCpu.Sum<TValue>(_values.AsSpan(row * _copies, _copies)));
            }
        }
        return _rows.AsSpan(0, total);
    }

    private void Resize(int batch)
    {
        _keys = new TKey[batch];
        _values = new TValue[batch * _copies];
    }
}
