using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Discovery;

/// <summary>
/// Whose each interface is, in the ledger: so that what is counted while no exporter runs has an owner, also where the interface is gone by
/// then. For the reconciler alone.
/// </summary>
internal sealed class InterfaceRecords(Ledger ledger, PodLabels labels)
{
    private readonly Dictionary<PodInterface, (LedgerEntry Entry, ulong Network)> _records = [];

    /// <summary>The interfaces that a former process has counted, and the namespaces that they lead to.</summary>
    internal IReadOnlyList<(PodInterface Owner, ulong Network)> Restore()
    {
        // With two of one interface, a former process was ended before it removed the older.
        foreach (var records in ledger.FindRestored(RecordKind.Interface)
            .Select(entry => (Entry: entry, Key: InterfaceKey.Read(entry.Key)))
            .GroupBy(record => record.Key.Generation))
        {
            var (entry, key) = records.MaxBy(record => record.Key.Pod is not null);
            var counted = default(TrafficValue);
            foreach (var record in records)
            {
                counted.Add(record.Entry.Committed.Traffic);
                var open = ledger.Open(RecordKind.Interface, record.Entry.Key, null);
                if (record.Entry != entry)
                {
                    Move(record.Entry.Committed.Traffic, open, entry);
                }
            }
            var owner = new PodInterface(key.Link, key.Generation, key.SeenAt)
            {
                // Shown with other labels, it has to be asked for again.
                Pod = key.LabelNames.SequenceEqual(labels.Names) ? key.Pod : null,
            };
            owner.Totals.Add(counted.Transmit.Total, counted.Receive.Total);
            owner.Record = entry;
            _records[owner] = (entry, key.Network);
        }
        return [.. _records.Select(record => (record.Key, record.Value.Network))];
    }

    /// <summary>Writes what is known of an interface now; it is there at once.</summary>
    /// <param name="network">The namespace that it leads to; null: as it was written before.</param>
    internal void Save(PodInterface owner, ulong? network = null)
    {
        var former = _records.GetValueOrDefault(owner);
        var key = new InterfaceKey(owner.Generation, owner.Link, owner.SeenAt, network ?? former.Network, labels.Names, owner.Pod);
        var entry = ledger.OpenNow(RecordKind.Interface, key.Write());
        _records[owner] = (entry, key.Network);
        lock (ledger.Lock)
        {
            if (former.Entry is { } previous)
            {
                Move(previous.Total.Traffic, previous, entry);
            }
            owner.Record = entry;
        }
    }

    /// <summary>Removes a record whose counts another continues: both with the next commit, or neither.</summary>
    private void Move(in TrafficValue counted, LedgerEntry from, LedgerEntry to)
    {
        lock (ledger.Lock)
        {
            to.Add(counted);
            from.Remove();
        }
    }

    /// <summary>With the next commit.</summary>
    internal void Remove(PodInterface owner)
    {
        if (_records.Remove(owner, out var record))
        {
            record.Entry.Remove();
        }
    }
}
