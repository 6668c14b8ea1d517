using Exporter.Bpf;

namespace Exporter.State;

/// <summary>
/// Takes over the ledger of another version, which has its counters otherwise. All of it is taken in one commit; a process that is killed before
/// that leaves the other as it was, and after that leaves this one, and the next process removes the other.
/// </summary>
internal static class LedgerTakeover
{
    /// <summary>Ends the name of a signal in a ledger's layout.</summary>
    internal const char SignalEnd = '=';

    /// <summary>The format of ledgers with the tables of today whose keys of groups are those before.</summary>
    private const string FirstTables = "keys=2";

    /// <returns>Whether the ledger starts from zero beside a later version's.</returns>
    internal static bool Run(Ledger ledger, ILedgerMemory memory)
    {
        var hasLater = false;
        var own = Ledger.LayoutOf(ledger.Signals);
        foreach (var layout in memory.Layouts.Where(layout => layout.Digest != own.Digest))
        {
            if (layout.Settings is not (Ledger.Format or FirstTables) && !EarlierLedger.IsOne(layout))
            {
                // It stays as it is for the later version, which continues with it when it runs again.
                hasLater = true;
                continue;
            }
            if (ledger.LastCommit == 0)
            {
                Take(ledger, memory, layout);
            }
            memory.Remove(layout);
        }
        return hasLater && ledger.LastCommit == 0;
    }

    private static void Take(Ledger ledger, ILedgerMemory memory, MapLayout layout)
    {
        if (EarlierLedger.IsOne(layout))
        {
            using var earlier = EarlierLedger.Open(memory, layout);
            if (earlier is not null)
            {
                Take(ledger, earlier.ReadRecords().Select(record => (record.Kind, record.Key, Name(layout.Counters, record.Row))), earlier.ReadKept());
            }
            return;
        }
        using var other = ReadSignals(memory, layout) is { } signals ? Ledger.TryRead(memory, signals, layout.Settings) : null;
        if (other is not null)
        {
            Take(ledger, other.Restored.Select(entry => (Key: ReadKey(layout, entry), Rows: ReadRows(other, entry))).Select(record => (record.Key.Kind, record.Key.Key, record.Rows)), other.CommittedMaps);
        }
    }

    /// <summary>The signals of a ledger; null where a note does not match its signal's digest.</summary>
    private static RowFields[]? ReadSignals(ILedgerMemory memory, MapLayout layout)
    {
        var signals = new List<RowFields>();
        foreach (var counters in layout.Counters)
        {
            var name = counters.Split(SignalEnd)[0];
            if (MapLayout.TryParse(memory.ReadNote(layout, name)) is not { } noted || counters != $"{name}{SignalEnd}{noted.Name}")
            {
                return null;
            }
            signals.Add(new(name, noted.Counters));
        }
        return [.. signals];
    }

    private static (RecordKind Kind, byte[] Key) ReadKey(MapLayout layout, LedgerEntry entry) =>
        layout.Settings == FirstTables ? EarlierKeys.Translate(entry.Kind, entry.Key) : (entry.Kind, entry.Key);

    /// <summary>By the names of signal and counter.</summary>
    private static Dictionary<string, ulong> ReadRows(Ledger other, LedgerEntry entry)
    {
        var counters = new Dictionary<string, ulong>();
        foreach (var signal in other.Signals)
        {
            var row = new ulong[signal.Count];
            entry.ReadTotal(signal, row);
            foreach (var (name, count) in Name([.. signal.Names.Select(name => NameOf(signal, name))], row))
            {
                counters[name] = count;
            }
        }
        return counters;
    }

    private static string NameOf(RowFields signal, string counter) => $"{signal.Name}{SignalEnd}{counter}";

    private static Dictionary<string, ulong> Name(IReadOnlyList<string> names, ulong[] row) =>
        names.Zip(row).Where(counter => counter.Second > 0).ToDictionary(counter => counter.First, counter => counter.Second);

    /// <summary>Adds each counter to that of the same name. The first ledgers have no names of signals, and no name of a counter twice.</summary>
    private static void Take(Ledger ledger, IEnumerable<(RecordKind Kind, byte[] Key, Dictionary<string, ulong> Counters)> records, ReadOnlySpan<CommittedMap> maps)
    {
        lock (ledger.Lock)
        {
            foreach (var (kind, key, counters) in records)
            {
                var entry = ledger.Open(kind, key, null);
                foreach (var signal in ledger.Signals)
                {
                    ulong[] row = [.. signal.Names.Select(name => counters.TryGetValue(NameOf(signal, name), out var count) || counters.TryGetValue(name, out count) ? count : 0)];
                    if (row.Any(count => count > 0))
                    {
                        entry.Add(signal, row);
                    }
                }
                ledger.Restore(entry);
            }
            ledger.Commit(maps);
        }
    }
}
