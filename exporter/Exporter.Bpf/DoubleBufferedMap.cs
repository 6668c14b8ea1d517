using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A pair of hash maps, per CPU or not, behind the one slot of a BPF_MAP_TYPE_ARRAY_OF_MAPS: programs count into the active one while
/// the idle one is read and emptied at rest, so that no increment is lost. Used by one thread at a time.
/// </summary>
/// <typeparam name="TValue">64-bit counters only.</typeparam>
public sealed class DoubleBufferedMap<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly BpfMap _slot;
    private readonly HashReader<TKey, TValue> _reader;
    private BpfMap _active;
    private BpfMap _idle;

    /// <summary>Whether the idle map still has rows: it must not become active with them.</summary>
    private bool _unread;

    /// <param name="slot">The array of maps; the object file put <paramref name="active"/> into it.</param>
    public DoubleBufferedMap(BpfMap slot, BpfMap active, BpfMap idle)
    {
        active.RequireLayout<TKey, TValue>();
        idle.RequireLayout<TKey, TValue>();
        _slot = slot;
        _reader = new(active.Copies);
        _active = active;
        _idle = idle;
    }

    /// <summary>How many rows each map of the pair has room for.</summary>
    public int MaxEntries => _active.MaxEntries;

    /// <summary>How many rows the last drain has read.</summary>
    public int Entries { get; private set; }

    /// <summary>The map that programs count into now.</summary>
    internal BpfMap Active => _active;

    /// <summary>
    /// Everything that was counted since the last call. Blocks for an RCU grace period, some milliseconds, without using a CPU. The
    /// rows stay valid until the next call; nothing is allocated unless there are more rows than ever before.
    /// </summary>
    /// <param name="complete">
    /// Whether it is everything. If not, or after an exception, the next call goes on with the same map before the maps are swapped
    /// again, so nothing is lost.
    /// </param>
    /// <exception cref="BpfException">Nothing could be read.</exception>
    public ReadOnlySpan<DrainedRow<TKey, TValue>> Drain(out bool complete)
    {
        if (!_unread)
        {
            Swap();
            _unread = true;
        }
        var rows = _reader.ReadAndClear(_idle, out complete);
        _unread = !complete;
        Entries = rows.Length;
        return rows;
    }

    /// <summary>
    /// Since Linux 4.20, updating a map of maps from user space returns only when no program can still hold the replaced map
    /// (kernel/bpf/syscall.c, maybe_wait_bpf_programs).
    /// </summary>
    private unsafe void Swap()
    {
        var slot = 0;
        var fd = _idle.Fd;
        var error = Libbpf.bpf_map_update_elem(_slot.Fd, &slot, &fd, 0);
        if (error < 0)
        {
            throw new BpfException($"swap the maps behind {_slot.Name}", -error);
        }
        (_active, _idle) = (_idle, _active);
    }
}
