using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A pair of hash maps, per CPU or not, behind the one slot of a BPF_MAP_TYPE_ARRAY_OF_MAPS: programs count into the active one while
/// the idle one is read and emptied at rest, so that no increment is lost. A drain is: <see cref="Read"/>, commit the rows, <see cref="Clear"/>.
/// Which step an earlier process has come to is seen from the slot and from the map that was last kept. Used by one thread at a time.
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
    private Stage _stage;

    /// <summary>Whether the idle map has rows that were kept earlier, and that are read once more before they are cleared.</summary>
    private bool _isReread;

    /// <summary>The pair of maps of a set whose names begin with <paramref name="name"/>.</summary>
    /// <param name="fields">Of the type: values that are laid out otherwise are read by the names of their fields.</param>
    /// <param name="kept">Whether the rows in the map of this id are kept already, by an earlier process.</param>
    /// <param name="rereads">Whether rows that are kept already are read once more (<see cref="HasKeptRows"/>).</param>
    public DoubleBufferedMap(MapSet maps, string name, RowFields fields, Func<int, bool> kept, bool rereads = false)
        : this(
            maps[PairNames.Slot(name)], maps[PairNames.One(name)], maps[PairNames.Other(name)], maps.IsAdopted ? kept : null, fields, fields.Layout.Find(maps.Layout)) =>
        _isReread = rereads && _stage == Stage.Kept;

    /// <param name="slot">The array of maps, with one of the two in its slot.</param>
    /// <param name="kept">Whether an earlier process has already committed the content of the map with this id.</param>
    /// <param name="fields">Of the type; null: all are sums.</param>
    /// <param name="sources">Where the fields are in maps that are laid out otherwise; null: as in the type.</param>
    internal DoubleBufferedMap(BpfMap slot, BpfMap one, BpfMap other, Func<int, bool>? kept = null, RowFields? fields = null, int[]? sources = null)
    {
        if (sources is null)
        {
            one.RequireLayout<TKey, TValue>();
            other.RequireLayout<TKey, TValue>();
        }
        _slot = slot;
        _reader = new(one, fields, sources);
        (_active, _idle) = FindActive() == other.Id ? (other, one) : (one, other);
        _stage = kept is null ? Stage.Empty : kept(_idle.Id) ? Stage.Kept : Stage.Unread;
    }

    private enum Stage
    {
        /// <summary>The idle map is empty: the maps may be swapped.</summary>
        Empty,

        /// <summary>The idle map has rows that no process has committed.</summary>
        Unread,

        /// <summary>The idle map may have rows that are kept.</summary>
        Kept,
    }

    /// <summary>How many rows each map of the pair has room for.</summary>
    public int MaxEntries => _active.MaxEntries;

    /// <summary>How many rows were last read.</summary>
    public int Entries { get; private set; }

    /// <summary>The pair's identity: the id of the map that has the slot.</summary>
    public int Pair => _slot.Id;

    /// <summary>The id of the map that was last read.</summary>
    public int ReadFrom => _idle.Id;

    /// <summary>
    /// Whether the maps were swapped since the process began, or since <see cref="Reread"/>. Until then a read returns the rows that were left at rest before, and not the
    /// counts since.
    /// </summary>
    public bool HasSwapped { get; private set; }

    /// <summary>Whether the rows that <see cref="Read"/> has just returned were kept already, by an earlier process or before <see cref="Reread"/>.</summary>
    public bool HasKeptRows => _isReread;

    /// <summary>Makes the row that a map is given, empty as it is, before programs count into it; null: none.</summary>
    public Func<DrainedRow<TKey, TValue>>? FirstRow { get; set; }

    /// <summary>The map that programs count into now.</summary>
    internal BpfMap Active => _active;

    /// <summary>Gives the active map its <see cref="FirstRow"/>, unless it has it. Before programs are attached that need it.</summary>
    public void EnsureFirstRow()
    {
        if (FirstRow is { } make && !TryReadActive(make().Key, out _))
        {
            Put(_active, make());
        }
    }

    /// <summary>Reads one row of the active map, which programs may be changing. Returns whether there is such a row.</summary>
    public unsafe bool TryReadActive(TKey key, out TValue value)
    {
        fixed (TValue* found = &value)
        {
            var error = Libbpf.bpf_map_lookup_elem(_active.Fd, &key, found);
            return error is 0 or -Errno.ENOENT ? error == 0 : throw new BpfException($"look into {_active.Name}", -error);
        }
    }

    /// <summary>
    /// Everything that was counted since the last call that was followed by <see cref="Clear"/>; of what an earlier process has left, only one
    /// of the two maps (<see cref="HasSwapped"/>). Blocks for an RCU grace period, some
    /// milliseconds, without using a CPU. The rows stay valid until the next call; nothing is allocated unless there are more than ever before.
    /// </summary>
    /// <exception cref="BpfException">They could not be read; nothing is lost, the next call tries again.</exception>
    public ReadOnlySpan<DrainedRow<TKey, TValue>> Read()
    {
        if (_stage == Stage.Kept && !_isReread)
        {
            _reader.Read(_idle);
            _reader.Clear(_idle);
            _stage = Stage.Empty;
        }
        if (_stage == Stage.Empty)
        {
            Swap();
            _stage = Stage.Unread;
        }
        var rows = _reader.Read(_idle);
        Entries = rows.Length;
        return rows;
    }

    /// <summary>
    /// The rows that the last <see cref="Read"/> has returned are kept, and stay in the map until <see cref="Clear"/>, or until the next
    /// <see cref="Read"/>, which clears them first.
    /// </summary>
    public void Keep() => (_stage, _isReread) = (Stage.Kept, false);

    /// <summary>Has rows that are kept and not cleared read once more, as after a restart of the process.</summary>
    public void Reread()
    {
        if (_stage == Stage.Kept)
        {
            (_isReread, HasSwapped) = (true, false);
        }
    }

    /// <summary>Takes the rows that the last <see cref="Read"/> has returned out of the map; they are kept now.</summary>
    /// <exception cref="BpfException">Some of them are still there; the next <see cref="Read"/> takes them out.</exception>
    public void Clear()
    {
        Keep();
        _reader.Clear(_idle);
        _stage = Stage.Empty;
    }

    /// <summary>
    /// Since Linux 4.20, updating a map of maps from user space returns only when no program can still hold the replaced map
    /// (kernel/bpf/syscall.c, maybe_wait_bpf_programs).
    /// </summary>
    private unsafe void Swap()
    {
        if (FirstRow is { } make)
        {
            Put(_idle, make());
        }
        var slot = 0;
        var fd = _idle.Fd;
        var error = Libbpf.bpf_map_update_elem(_slot.Fd, &slot, &fd, 0);
        if (error < 0)
        {
            throw new BpfException($"swap the maps behind {_slot.Name}", -error);
        }
        (_active, _idle) = (_idle, _active);
        HasSwapped = true;
    }

    private static unsafe void Put(BpfMap map, DrainedRow<TKey, TValue> row)
    {
        var (key, value) = row;
        var error = Libbpf.bpf_map_update_elem(map.Fd, &key, &value, 0);
        if (error < 0)
        {
            throw new BpfException($"prepare the map {map.Name}", -error);
        }
    }

    /// <summary>To user space, an array of maps has the ids of its maps.</summary>
    private unsafe int FindActive()
    {
        var slot = 0;
        int id;
        var error = Libbpf.bpf_map_lookup_elem(_slot.Fd, &slot, &id);
        return error < 0 ? throw new BpfException($"look into {_slot.Name}", -error) : id;
    }
}
