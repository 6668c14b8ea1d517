using Exporter.Pods;
using Exporter.State;

namespace Exporter.Interfaces;

/// <summary>
/// Records of the owner and the identity of each interface, in the ledger: so counts from while no exporter runs have an owner, also where the
/// interface is gone by then. For the reconciler alone.
/// </summary>
internal sealed class InterfaceRecords(Ledger ledger, PodLabels labels)
{
    private readonly Dictionary<PodInterface, LedgerEntry> _records = [];

    /// <summary>The interfaces that a previous process has counted, oldest first; each signal continues its counts on them.</summary>
    internal IReadOnlyList<PodInterface> Restore()
    {
        // With two of one interface, a previous process was ended before it removed the older.
        foreach (var records in ledger.FindRestored(RecordKind.Interface)
            .Select(entry => (Entry: entry, Key: InterfaceKey.Read(entry.Key)))
            .GroupBy(record => record.Key.Generation))
        {
            var (entry, key) = records.MaxBy(record => record.Entry.Commit);
            foreach (var record in records)
            {
                var open = ledger.Open(RecordKind.Interface, record.Entry.Key, null);
                if (record.Entry != entry)
                {
                    // An earlier version has written the counts one commit after the record.
                    Move(open, entry);
                }
            }
            var owner = new PodInterface(key.Link, key.Generation, key.SeenAt)
            {
                // Shown with other labels, it has to be asked for again.
                Pod = key.LabelNames.SequenceEqual(labels.Names) ? key.Pod : null,
                Identity = new(key.Network, key.Birth),
                Uncounted = key.Uncounted,
                BornAfter = key.BornAfter,
                Record = entry,
            };
            _records[owner] = entry;
        }
        return [.. _records.Keys.OrderBy(owner => owner.Generation)];
    }

    /// <summary>Writes the owner and the identity of an interface, at once.</summary>
    internal void Save(PodInterface owner)
    {
        var previous = _records.GetValueOrDefault(owner);
        var key = new InterfaceKey(owner.Generation, owner.Link, owner.SeenAt, owner.Identity.PeerNamespace, labels.Names, owner.Pod)
        {
            Birth = owner.Identity.Birth,
            Uncounted = owner.Uncounted,
            BornAfter = owner.BornAfter,
        }.Write();
        if (previous?.Key.AsSpan().SequenceEqual(key) == true)
        {
            return;
        }
        lock (ledger.Lock)
        {
            owner.Record = _records[owner] = ledger.OpenNow(RecordKind.Interface, key, previous);
        }
    }

    /// <summary>Removes the interface's record with the next commit.</summary>
    internal void Remove(PodInterface owner)
    {
        if (_records.Remove(owner, out var record))
        {
            lock (ledger.Lock)
            {
                owner.Record = null;
                record.Remove();
            }
        }
    }

    /// <summary>Removes a record whose counts another continues: both with the next commit, or neither.</summary>
    private void Move(LedgerEntry from, LedgerEntry to)
    {
        lock (ledger.Lock)
        {
            to.AddAll(from);
            from.Remove();
        }
    }
}
