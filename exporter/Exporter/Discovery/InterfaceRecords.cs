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
            foreach (var record in records)
            {
                var open = ledger.Open(RecordKind.Interface, record.Entry.Key, null);
                if (record.Entry != entry)
                {
                    open.Remove();
                }
            }
            var owner = new PodInterface(key.Link, key.Generation, key.SeenAt)
            {
                // Shown with other labels, it has to be asked for again.
                Pod = key.LabelNames.SequenceEqual(labels.Names) ? key.Pod : null,
            };
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
        _records[owner] = (ledger.OpenNow(RecordKind.Interface, key.Write()), key.Network);
        former.Entry?.Remove();
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
