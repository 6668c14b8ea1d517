using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.State;

/// <summary>
/// All that was counted, so that it survives the process: memory that is pinned (without pins it is the process's own, and ends with it).
/// Every record has two copies of its counts, each with the number of the commit that it came with. A commit writes the copy that is not in
/// force of every record that has changed, and then one number: from that store on all of it is in force, before it nothing. ADR 6 has the
/// argument. What is shown to a scrape is what was committed.
/// </summary>
internal sealed class Ledger : IDisposable
{
    internal const int SegmentBytes = RecordsPerSegment * MappedArray.ElementBytes;

    private const int RecordsPerSegment = 128;

    private static readonly int CopyBytes = Marshal.SizeOf<RecordCopy>();
    private static readonly int HeadBytes = Marshal.SizeOf<RecordHead>();

    private readonly ILedgerMemory _memory;
    private readonly List<Segment> _segments = [];
    private readonly Stack<Slot> _free = [];
    private readonly List<LedgerEntry> _changed = [];
    private readonly List<LedgerEntry> _restored = [];

    /// <summary>Those that got no place in the memory, and live in the process's own until there is one.</summary>
    private readonly List<LedgerEntry> _unplaced = [];

    private ulong _commit;

    private Ledger(ILedgerMemory memory)
    {
        _memory = memory;
    }

    /// <summary>
    /// Whoever adds to entries, or commits, has it from the first addition to the commit, so that no commit has half of something. A drain has
    /// it while it credits what it has read.
    /// </summary>
    internal Lock Lock { get; } = new();

    /// <summary>Records that did not get a place in pinned memory: they are not there after a restart.</summary>
    internal int Unkept => _unplaced.Count;

    /// <summary>Whether this one starts from zero beside the ledger of a later version, whose keys it cannot read.</summary>
    internal bool StartsBesideLater { get; private set; }

    /// <summary>How large a record's key can be, in bytes.</summary>
    internal static int KeyRoom => MappedArray.ElementBytes - KeyOffset(CopyBytes);

    /// <summary>Opens the ledger that is pinned, in whatever layout, or makes one.</summary>
    /// <param name="pins">Null: it ends with the process.</param>
    /// <exception cref="BpfException">The kernel has no room for it.</exception>
    internal static Ledger Open(PinDirectory? pins) => OpenIn(pins is null ? new OwnMemory() : new PinnedMemory(pins));

    /// <summary>The same, in memory that is elsewhere.</summary>
    internal static Ledger OpenIn(ILedgerMemory memory)
    {
        var ledger = new Ledger(memory);
        if (!ledger.TryOpenSegments(LedgerCounts.Layout))
        {
            ledger.AddSegment();
        }
        ledger.ReadRecords();
        ledger.TakeFromOthers();
        return ledger;
    }

    /// <summary>
    /// Begins anew with what was committed, for who comes next in this process: every record is one that was left. Whoever has counted into it
    /// has ended.
    /// </summary>
    internal void Restart()
    {
        lock (Lock)
        {
            _changed.Clear();
            _restored.Clear();
            ReadRecords();
            RestoreUnplaced();
        }
    }

    /// <summary>Forgets pairs that are not there any more.</summary>
    /// <param name="pairs">All that there are.</param>
    /// <exception cref="PinException">They are too many to be kept apart.</exception>
    internal void KeepOnly(IReadOnlyCollection<int> pairs)
    {
        if (pairs.Count > KeptMaps.Length)
        {
            throw new PinException($"There are {pairs.Count} pairs of maps of former exporters, more than {KeptMaps.Length}; 'podnet-exporter uninstall' removes them");
        }
        lock (Lock)
        {
            var inForce = KeptInForce;
            ref var next = ref KeptAt(1 - inForce);
            next.Maps = default;
            var count = 0;
            foreach (var map in (ReadOnlySpan<KeptMap>)KeptAt(inForce).Maps)
            {
                if (pairs.Contains(map.Pair))
                {
                    next.Maps[count++] = map;
                }
            }
            next.Commit = _commit + 1;
            Flip();
        }
    }

    /// <summary>Whether what is in the map of this id was committed.</summary>
    internal bool IsKept(int map)
    {
        foreach (var kept in (ReadOnlySpan<KeptMap>)Kept.Maps)
        {
            if (kept.Map == map)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>What a former process has left, and nobody has asked for.</summary>
    internal IReadOnlyList<LedgerEntry> FindRestored(RecordKind kind) => [.. _restored.Where(entry => entry.Kind == kind)];

    /// <summary>
    /// The record of this key: one that a former process has left, whose counts are shown at once, or a new one, which is there with the next
    /// commit. Two that are open at once have different keys.
    /// </summary>
    internal LedgerEntry Open(RecordKind kind, byte[] key, ILedgerView? view)
    {
        lock (Lock)
        {
            var index = _restored.FindIndex(entry => entry.Kind == kind && entry.Key.AsSpan().SequenceEqual(key));
            if (index >= 0)
            {
                var restored = _restored[index];
                _restored.RemoveAt(index);
                restored.View = view;
                view?.Restore(restored.Committed);
                return restored;
            }
            var slot = key.Length <= KeyRoom ? TakeSlot() : null;
            var entry = new LedgerEntry(this, slot ?? new Slot(new OwnSegment(MappedArray.ElementBytes), 0), kind, key, hasPlace: slot is not null) { View = view };
            if (slot is not null)
            {
                WriteKey(entry);
            }
            else
            {
                _unplaced.Add(entry);
            }
            entry.Touch();
            return entry;
        }
    }

    /// <summary>The same, there at once, and with what another has counted, which is gone at once.</summary>
    /// <param name="previous">Null: there is none.</param>
    internal LedgerEntry OpenNow(RecordKind kind, byte[] key, LedgerEntry? previous = null)
    {
        lock (Lock)
        {
            var entry = Open(kind, key, null);
            if (previous is not null)
            {
                entry.Add(previous.Total);
                previous.Remove();
                Write(previous, _commit + 1);
            }
            Write(entry, _commit + 1);
            Flip();
            Finish(entry);
            _changed.Remove(entry);
            if (previous is not null)
            {
                Finish(previous);
                _changed.Remove(previous);
            }
            return entry;
        }
    }

    /// <summary>
    /// Puts all additions since the last commit in force, and with them that the content of a map is among them. Called with
    /// <see cref="Lock"/>.
    /// </summary>
    /// <param name="kept">Null: no map was read.</param>
    internal void Commit(KeptMap? kept = null)
    {
        if (kept is null && _changed.Count == 0)
        {
            return;
        }
        foreach (var entry in _changed)
        {
            Write(entry, _commit + 1);
        }
        PlaceUnplaced();
        if (kept is { } map)
        {
            Keep(map);
        }
        Flip();
        foreach (var entry in _changed)
        {
            Finish(entry);
        }
        _changed.Clear();
    }

    /// <summary>What was written of it is in force.</summary>
    private void Finish(LedgerEntry entry)
    {
        entry.Publish();
        if (entry.IsRemoved && entry.HasPlace)
        {
            _free.Push(entry.Slot);
        }
        else if (entry.IsRemoved)
        {
            _unplaced.Remove(entry);
        }
    }

    public void Dispose() => _segments.ForEach(segment => segment.Dispose());

    internal void Touch(LedgerEntry entry) => _changed.Add(entry);

    /// <summary>What was committed; nothing of a record that is not in use.</summary>
    internal LedgerCounts Read(Slot slot)
    {
        ref var copy = ref Copy(slot.Bytes, InForce(slot.Bytes));
        return Age(copy.Commit) > 0 && copy.IsUsed != 0 ? copy.Counts : default;
    }

    internal ulong ReadCommit(Slot slot) => Age(Copy(slot.Bytes, InForce(slot.Bytes)).Commit);

    private ref LedgerHead Head => ref MemoryMarshal.AsRef<LedgerHead>(_segments[0].Record(0));

    private ref KeptCopy Kept => ref KeptAt(KeptInForce);

    private int KeptInForce => Age(Head.One.Commit) >= Age(Head.Other.Commit) ? 0 : 1;

    private static int KeyOffset(int copyBytes) => HeadBytes + (2 * copyBytes);

    private static ref RecordCopy Copy(Span<byte> record, int index) =>
        ref MemoryMarshal.AsRef<RecordCopy>(record[(HeadBytes + (index * CopyBytes))..]);

    /// <summary>What was committed of them is in the process's own memory, and is left to the next session as the others are.</summary>
    private void RestoreUnplaced()
    {
        for (var i = _unplaced.Count - 1; i >= 0; i--)
        {
            var (slot, kind, key) = (_unplaced[i].Slot, _unplaced[i].Kind, _unplaced[i].Key);
            Forget(ref Copy(slot.Bytes, 0).Commit);
            Forget(ref Copy(slot.Bytes, 1).Commit);
            if (IsUsed(slot))
            {
                _unplaced[i] = new(this, slot, kind, key, hasPlace: false);
                _restored.Add(_unplaced[i]);
            }
            else
            {
                _unplaced.RemoveAt(i);
            }
        }
    }

    /// <summary>
    /// Gives those without a place the places that have become free. All that this commit puts in force goes along, so that they are there
    /// with it, or not at all. Called after the changed entries were written.
    /// </summary>
    private void PlaceUnplaced()
    {
        for (var i = _unplaced.Count - 1; i >= 0 && _free.Count > 0; i--)
        {
            var entry = _unplaced[i];
            if (entry.IsRemoved || entry.Key.Length > KeyRoom)
            {
                continue;
            }
            var inForce = InForce(entry.Slot.Bytes);
            ref var source = ref Copy(entry.Slot.Bytes, entry.IsChanged ? 1 - inForce : inForce);
            entry.PlaceIn(_free.Pop());
            WriteKey(entry);
            ref var next = ref Copy(entry.Slot.Bytes, 1 - InForce(entry.Slot.Bytes));
            next.Counts = source.Counts;
            next.IsUsed = source.IsUsed;
            next.Commit = _commit + 1;
            _unplaced.RemoveAt(i);
        }
    }

    private ref KeptCopy KeptAt(int index) => ref index == 0 ? ref Head.One : ref Head.Other;

    /// <summary>Which of the two copies.</summary>
    private int InForce(Span<byte> record) => Age(Copy(record, 0).Commit) >= Age(Copy(record, 1).Commit) ? 0 : 1;

    private bool IsUsed(Slot slot)
    {
        ref var copy = ref Copy(slot.Bytes, InForce(slot.Bytes));
        return Age(copy.Commit) > 0 && copy.IsUsed != 0;
    }

    /// <summary>A copy of a commit that never was in force is older than all.</summary>
    private ulong Age(ulong commit) => commit <= _commit ? commit : 0;

    /// <summary>A copy of a commit that a former process did not come to the end of: the next commit has the same number, and is another.</summary>
    private void Forget(ref ulong commit) => commit = Age(commit);

    private static void WriteKey(LedgerEntry entry)
    {
        var record = entry.Slot.Bytes;
        MemoryMarshal.AsRef<RecordHead>(record) = new() { Kind = (ulong)entry.Kind, KeyLength = (ulong)entry.Key.Length };
        entry.Key.CopyTo(record[KeyOffset(CopyBytes)..]);
    }

    private void Write(LedgerEntry entry, ulong commit)
    {
        var record = entry.Slot.Bytes;
        var inForce = InForce(record);
        ref var current = ref Copy(record, inForce);
        ref var next = ref Copy(record, 1 - inForce);
        // No conditional expression, which would copy the counts twice.
        if (Age(current.Commit) > 0 && current.IsUsed != 0)
        {
            next.Counts = current.Counts;
        }
        else
        {
            next.Counts = default;
        }
        entry.AddPendingTo(ref next.Counts);
        next.IsUsed = entry.IsRemoved ? 0u : 1u;
        next.Commit = commit;
    }

    private void Keep(KeptMap map)
    {
        var inForce = KeptInForce;
        ref var next = ref KeptAt(1 - inForce);
        if (next.Commit != _commit + 1)
        {
            next.Maps = KeptAt(inForce).Maps;
            next.Commit = _commit + 1;
        }
        Span<KeptMap> maps = next.Maps;
        var index = maps.Length - 1;
        while (index > 0 && maps[index].Pair != map.Pair)
        {
            index--;
        }
        if (maps[index].Pair != map.Pair)
        {
            index = maps.IndexOf(default(KeptMap));
        }
        maps[index] = map;
    }

    /// <summary>A store of eight bytes, after all others: whoever is killed has done it, or has not.</summary>
    private void Flip() => Volatile.Write(ref Head.Commit, ++_commit);

    private Slot? TakeSlot()
    {
        if (_free.Count == 0 && !TryAddSegment())
        {
            return null;
        }
        return _free.Pop();
    }

    private bool TryAddSegment()
    {
        try
        {
            AddSegment();
            return true;
        }
        catch (BpfException)
        {
            return false;
        }
    }

    private void AddSegment()
    {
        var segment = _memory.Create(LedgerCounts.Layout, _segments.Count);
        _segments.Add(segment);
        // The first record is the head.
        for (var record = RecordsPerSegment - 1; record >= (_segments.Count == 1 ? 1 : 0); record--)
        {
            _free.Push(new(segment, record));
        }
    }

    private bool TryOpenSegments(MapLayout layout)
    {
        while (_memory.Open(layout, _segments.Count) is { } segment)
        {
            _segments.Add(segment);
        }
        return _segments.Count > 0;
    }

    private void ReadRecords()
    {
        _commit = Head.Commit;
        Forget(ref Head.One.Commit);
        Forget(ref Head.Other.Commit);
        _free.Clear();
        for (var i = _segments.Count - 1; i >= 0; i--)
        {
            for (var record = RecordsPerSegment - 1; record >= (i == 0 ? 1 : 0); record--)
            {
                var slot = new Slot(_segments[i], record);
                Forget(ref Copy(slot.Bytes, 0).Commit);
                Forget(ref Copy(slot.Bytes, 1).Commit);
                if (IsUsed(slot))
                {
                    _restored.Add(ReadEntry(slot, CopyBytes));
                }
                else
                {
                    _free.Push(slot);
                }
            }
        }
    }

    private LedgerEntry ReadEntry(Slot slot, int copyBytes)
    {
        var record = slot.Bytes;
        var head = MemoryMarshal.AsRef<RecordHead>(record);
        var key = record.Slice(KeyOffset(copyBytes), (int)Math.Min(head.KeyLength, (ulong)(record.Length - KeyOffset(copyBytes)))).ToArray();
        return new(this, slot, (RecordKind)head.Kind, key, hasPlace: true);
    }

    /// <summary>
    /// A ledger of another version has its counters otherwise. All of it is taken over in one commit; whoever is killed before that finds it
    /// as it was, and after that finds this one, and has it removed.
    /// </summary>
    private void TakeFromOthers()
    {
        var hasLater = false;
        foreach (var layout in _memory.Layouts.Where(layout => layout.Digest != LedgerCounts.Layout.Digest))
        {
            if (layout.Settings is not LedgerCounts.FirstSettings && layout.Settings != LedgerCounts.Layout.Settings)
            {
                // It stays as it is for the later version, which continues with it when it runs again.
                hasLater = true;
                continue;
            }
            if (_commit == 0)
            {
                TakeFrom(layout);
            }
            _memory.Remove(layout);
        }
        StartsBesideLater = hasLater && _commit == 0;
    }

    private void TakeFrom(MapLayout layout)
    {
        using var other = new Ledger(_memory);
        if (!other.TryOpenSegments(layout))
        {
            return;
        }
        var sources = LedgerCounts.Layout.Find(layout);
        var copyBytes = (2 + layout.Counters.Count) * sizeof(ulong);
        var commit = other._commit = other.Head.Commit;
        var isFirst = layout.Settings == LedgerCounts.FirstSettings;
        lock (Lock)
        {
            foreach (var segment in other._segments)
            {
                for (var record = segment == other._segments[0] ? 1 : 0; record < RecordsPerSegment; record++)
                {
                    var slot = new Slot(segment, record);
                    var copies = MemoryMarshal.Cast<byte, ulong>(slot.Bytes[HeadBytes..]);
                    var one = copies[..(copyBytes / sizeof(ulong))];
                    var two = copies.Slice(one.Length, one.Length);
                    var inForce = (one[0] <= commit ? one[0] : 0) >= (two[0] <= commit ? two[0] : 0) ? one : two;
                    if (inForce[0] == 0 || inForce[0] > commit || inForce[1] == 0)
                    {
                        continue;
                    }
                    var taken = ReadEntry(slot, copyBytes);
                    var key = taken.Kind == RecordKind.Group && isFirst ? GroupKey.AddTotals(taken.Key) : taken.Key;
                    var entry = Open(taken.Kind, key, null);
                    entry.Add(LedgerCounts.Read(inForce[2..], sources));
                    _restored.Add(entry);
                }
            }
            KeptMap? last = null;
            foreach (var map in other.ReadKept(isFirst ? KeptMaps.FirstLength : KeptMaps.Length))
            {
                if (map.Pair != 0)
                {
                    Keep(map);
                    last = map;
                }
            }
            Commit(last);
        }
    }

    /// <summary>The maps whose content is in the ledger, where each of the head's two copies has so many.</summary>
    private ReadOnlySpan<KeptMap> ReadKept(int length)
    {
        var copies = MemoryMarshal.Cast<byte, ulong>(_segments[0].Record(0))[1..];
        var inForce = Age(copies[0]) >= Age(copies[1 + length]) ? 0 : 1 + length;
        return MemoryMarshal.Cast<ulong, KeptMap>(copies.Slice(inForce + 1, length));
    }

    /// <summary>A row of records.</summary>
    internal abstract class Segment : IDisposable
    {
        protected abstract Span<byte> Bytes { get; }

        internal Span<byte> Record(int index) => Bytes.Slice(index * MappedArray.ElementBytes, MappedArray.ElementBytes);

        public abstract void Dispose();
    }

    /// <summary>Where a record is.</summary>
    internal sealed record Slot(Segment Segment, int Index)
    {
        internal Span<byte> Bytes => Segment.Record(Index);
    }
}
