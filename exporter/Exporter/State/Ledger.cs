using Exporter.Bpf;

namespace Exporter.State;

/// <summary>
/// All that was counted, so that it survives the process: memory that is pinned (without pins it is the process's own, and ends with it). A record
/// is a key, and a row for each signal that was added to it; keys and rows are in tables. Each has two copies, each with the number of the commit
/// that it came with. A commit writes the copy that is not in force of all that has changed, and then one number: from that store on all of it is
/// in force, before it nothing. ADR 6 has the argument. A scrape shows committed counts.
/// </summary>
internal sealed class Ledger : IDisposable
{
    /// <summary>The number of the format of tables and keys, which is one more whenever that changes.</summary>
    internal const string Format = "keys=3";

    private const int ShortKeyBytes = 464;

    private readonly MapLayout _layout;

    /// <summary>Tables of short keys and of long ones, and then one for each signal.</summary>
    private readonly LedgerTable[] _tables;

    private readonly LedgerSegments _segments;

    private readonly List<LedgerEntry> _changed = [];
    private readonly List<LedgerEntry> _restored = [];

    /// <summary>Records of which a part got no place in the memory, and lives in the process's own until there is one.</summary>
    private readonly UnplacedRecords _unplaced = new();

    private Ledger(ILedgerMemory memory, IReadOnlyList<RowFields> signals, string format = Format)
    {
        (Signals, _layout) = (signals, LayoutOf(signals) with { Settings = format });
        _tables = [new(this, null, ShortKeyBytes), new(this, null, KeyRoom), .. signals.Select(signal => new LedgerTable(this, signal, 0))];
        _segments = new(memory, _layout, _tables);
    }

    /// <summary>
    /// Held by callers that add to entries, or commit, from the first addition to the commit, so that no commit has half of something. A drain holds
    /// it while it credits what it has read.
    /// </summary>
    internal Lock Lock { get; } = new();

    internal IReadOnlyList<RowFields> Signals { get; }

    /// <summary>The number of the commit that is in force.</summary>
    internal ulong LastCommit { get; private set; }

    /// <summary>Records of which a part did not get a place in pinned memory: they are not complete after a restart.</summary>
    internal int Unpinned => _unplaced.Count;

    /// <summary>Whether this one starts from zero beside the ledger of a later version, whose keys it cannot read.</summary>
    internal bool StartsBesideLater { get; private set; }

    /// <summary>The maps whose content is in the ledger.</summary>
    internal CommittedMap[] CommittedMaps => [.. Head.Read(LastCommit).ToArray().Where(map => map.Pair != 0)];

    /// <summary>How large a record's key can be, in bytes: a page has a long key, its head and its copies.</summary>
    internal static int KeyRoom => MappedArray.ElementBytes - 48;

    /// <summary>Opens the ledger that is pinned, in whatever layout, or makes one.</summary>
    /// <param name="pins">Null: it ends with the process.</param>
    /// <param name="signals">The signals that have rows in it.</param>
    /// <param name="unused">Those that are off: no room is set aside for them.</param>
    /// <exception cref="BpfException">The kernel has no room for it.</exception>
    internal static Ledger Open(PinDirectory? pins, IReadOnlyList<RowFields> signals, IReadOnlyCollection<RowFields>? unused = null) =>
        OpenIn(pins is null ? new OwnMemory() : new PinnedMemory(pins), signals, unused);

    /// <summary>The same, in memory that is elsewhere.</summary>
    internal static Ledger OpenIn(ILedgerMemory memory, IReadOnlyList<RowFields> signals, IReadOnlyCollection<RowFields>? unused = null)
    {
        var ledger = new Ledger(memory, signals);
        if (!ledger._segments.TryOpen())
        {
            foreach (var signal in signals)
            {
                memory.WriteNote(ledger._layout, signal.Name, signal.Layout.Text);
            }
            // With room for a record of each kind, so that it is the start that fails where there is none.
            for (var table = 0; table < ledger._tables.Length; table++)
            {
                if (table != 1 && (table < TableOf(0) || unused?.Contains(signals[table - TableOf(0)]) != true))
                {
                    ledger._segments.Add(table);
                }
            }
        }
        ledger.ReadRecords();
        ledger.StartsBesideLater = LedgerTakeover.Run(ledger, memory);
        return ledger;
    }

    /// <summary>One of other signals or another format of keys, which is read and left as it is; null where there is none.</summary>
    internal static Ledger? TryRead(ILedgerMemory memory, IReadOnlyList<RowFields> signals, string format)
    {
        var ledger = new Ledger(memory, signals, format);
        if (!ledger._segments.TryOpen())
        {
            return null;
        }
        ledger.ReadRecords();
        return ledger;
    }

    /// <summary>The layout of a ledger with rows of these signals: each with the digest of its fields, whose names are in a note.</summary>
    internal static MapLayout LayoutOf(IReadOnlyList<RowFields> signals) =>
        new(Format, [.. signals.Select(signal => $"{signal.Name}{LedgerTakeover.SignalEnd}{signal.Layout.Name}")]);

    /// <summary>
    /// Reloads the committed records for the next session in this process. The previous session, which has added to it, has ended.
    /// </summary>
    internal void Restart()
    {
        lock (Lock)
        {
            _changed.Clear();
            _restored.Clear();
            ReadRecords();
            _unplaced.Reopen(_restored);
        }
    }

    /// <summary>Forgets pairs of maps that are not there any more.</summary>
    /// <param name="pairs">All that there are.</param>
    /// <exception cref="PinException">They are too many to be kept apart.</exception>
    internal void ForgetOthers(IReadOnlyCollection<int> pairs)
    {
        if (pairs.Count > CommittedMapList.Length)
        {
            throw new PinException($"There are {pairs.Count} pairs of maps of previous exporters, more than {CommittedMapList.Length}; 'podnet-exporter uninstall' removes them");
        }
        lock (Lock)
        {
            Head.Write(CommittedMaps.Where(map => pairs.Contains(map.Pair)).ToArray(), LastCommit);
            Flip();
        }
    }

    /// <summary>Whether the content of the map with this id is already in the ledger.</summary>
    internal bool IsCommitted(int map)
    {
        foreach (var committed in Head.Read(LastCommit))
        {
            if (committed.Map == map)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>All records that a previous process has left, and that nothing has opened.</summary>
    internal IReadOnlyList<LedgerEntry> Restored => _restored;

    /// <summary>Gives back one that was opened to be added to. For a takeover.</summary>
    internal void Restore(LedgerEntry entry) => _restored.Add(entry);

    /// <summary>Records of one kind that a previous process has left, and that nothing has opened.</summary>
    internal IReadOnlyList<LedgerEntry> FindRestored(RecordKind kind) => [.. _restored.Where(entry => entry.Kind == kind)];

    /// <summary>The same of one signal.</summary>
    internal IReadOnlyList<LedgerEntry> FindRestored(RecordKind kind, RowFields signal) =>
        [.. FindRestored(kind).Where(entry => RecordKey.ReadSignal(entry.Key) == signal.Name)];

    /// <summary>
    /// The record of this key: one that a previous process has left, whose rows are shown at once, or a new one, which is there with the next
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
                restored.ShowIn(view);
                return restored;
            }
            var slot = TryTakeKey(key.Length);
            var entry = new LedgerEntry(this, slot ?? _tables[0].MakeOwn(), kind, key);
            entry.ShowIn(view);
            if (slot is not null)
            {
                entry.WriteHead(slot);
            }
            else
            {
                _unplaced.Add(entry);
            }
            entry.Touch();
            return entry;
        }
    }

    /// <summary>The same, there at once, and with the rows of another, which is gone at once.</summary>
    /// <param name="previous">Null: there is none.</param>
    internal LedgerEntry OpenNow(RecordKind kind, byte[] key, LedgerEntry? previous = null)
    {
        lock (Lock)
        {
            var entry = Open(kind, key, null);
            LedgerEntry[] both = previous is null ? [entry] : [entry, previous];
            if (previous is not null)
            {
                entry.AddAll(previous);
                previous.Remove();
            }
            foreach (var one in both)
            {
                one.Write(LastCommit + 1);
            }
            Flip();
            foreach (var one in both)
            {
                Finish(one);
                _changed.Remove(one);
            }
            return entry;
        }
    }

    /// <summary>
    /// Puts all additions since the last commit in force, and with them that the content of a map is among them. Called with
    /// <see cref="Lock"/>.
    /// </summary>
    /// <param name="maps">Empty: no map was read.</param>
    internal void Commit(ReadOnlySpan<CommittedMap> maps = default)
    {
        if (maps.IsEmpty && _changed.Count == 0)
        {
            return;
        }
        foreach (var entry in _changed)
        {
            entry.Write(LastCommit + 1);
        }
        _unplaced.Place(LastCommit + 1);
        foreach (var map in maps)
        {
            Head.Add(map, LastCommit);
        }
        Flip();
        foreach (var entry in _changed)
        {
            Finish(entry);
        }
        _changed.Clear();
    }

    public void Dispose() => _segments.Dispose();

    internal void Touch(LedgerEntry entry) => _changed.Add(entry);

    /// <summary>Rows are added to by the number of their signal.</summary>
    internal int NumberOf(RowFields fields)
    {
        for (var number = 0; number < Signals.Count; number++)
        {
            if (ReferenceEquals(Signals[number], fields))
            {
                return number;
            }
        }
        throw new ArgumentException($"the ledger has no rows of {fields.Name}", nameof(fields));
    }

    /// <summary>A place for a key, or null where there is none.</summary>
    internal LedgerTable.Slot? TryTakeKey(int length) =>
        length <= ShortKeyBytes ? _segments.TryTake(0) : length <= KeyRoom ? _segments.TryTake(1) : null;

    internal LedgerTable.Slot? TryTakeRow(int signal) => _segments.TryTake(TableOf(signal));

    /// <summary>A place for a row: in the memory, or where that has no room in the process's own.</summary>
    internal LedgerTable.Slot TakeRow(int signal, LedgerEntry entry)
    {
        if (TryTakeRow(signal) is { } slot)
        {
            return slot;
        }
        _unplaced.Add(entry);
        return MakeOwnRow(signal);
    }

    internal LedgerTable.Slot MakeOwnRow(int signal) => _tables[TableOf(signal)].MakeOwn();

    private ref LedgerHead Head => ref _segments.Head;

    private static int TableOf(int signal) => 2 + signal;

    /// <summary>Ends a commit of the entry: its written copies are in force.</summary>
    private void Finish(LedgerEntry entry)
    {
        entry.Finish();
        if (entry.IsRemoved)
        {
            _unplaced.Remove(entry);
        }
    }

    /// <summary>A store of eight bytes, after all others: a process that is killed has done it, or has not.</summary>
    private void Flip() => Volatile.Write(ref Head.Commit, ++LastCommit);

    private void ReadRecords()
    {
        LastCommit = Head.Commit;
        Head.ForgetUnfinished();
        var keys = new Dictionary<ulong, LedgerEntry>();
        var rows = new List<(int Signal, LedgerTable.Slot Slot)>();
        foreach (var (table, slot) in _segments.Read())
        {
            if (table < TableOf(0))
            {
                var key = slot.Key[..(int)Math.Min(slot.Head[1], (ulong)slot.Table.KeyBytes)].ToArray();
                keys[slot.Number] = new(this, slot, (RecordKind)slot.Head[0], key);
            }
            else
            {
                rows.Add((table - TableOf(0), slot));
            }
        }
        foreach (var (signal, slot) in rows)
        {
            keys.GetValueOrDefault(slot.Head[0])?.Restore(signal, slot);
        }
        _restored.AddRange(keys.Values);
    }
}
