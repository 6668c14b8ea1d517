namespace Exporter.State;

/// <summary>Records of which a part got no place in the memory, and lives in the process's own until there is one. Used with the ledger's lock.</summary>
internal sealed class UnplacedRecords
{
    private readonly List<LedgerEntry> _records = [];

    internal int Count => _records.Count;

    internal void Add(LedgerEntry entry)
    {
        if (!_records.Contains(entry))
        {
            _records.Add(entry);
        }
    }

    internal void Remove(LedgerEntry entry) => _records.Remove(entry);

    /// <summary>
    /// Gives records the places that have become free. Called after the changed records were written, so that everything that this commit puts in force
    /// is in its place with it, or not at all.
    /// </summary>
    internal void Place(ulong commit)
    {
        for (var i = _records.Count - 1; i >= 0; i--)
        {
            var entry = _records[i];
            if (entry.IsRemoved)
            {
                continue;
            }
            entry.Place(commit);
            if (entry.HasPlace)
            {
                _records.RemoveAt(i);
            }
        }
    }

    /// <summary>Leaves the parts that were committed to the process's own memory to the next session, as the others are.</summary>
    /// <param name="restored">The records that were read for it.</param>
    internal void Reopen(List<LedgerEntry> restored)
    {
        var previous = _records.ToArray();
        _records.Clear();
        foreach (var entry in previous)
        {
            // A record whose key has a place was read with the others, without the rows that have none.
            restored.RemoveAll(read => read.Kind == entry.Kind && read.Key.AsSpan().SequenceEqual(entry.Key));
            if (entry.Reopen() is { } reopened)
            {
                _records.Add(reopened);
                restored.Add(reopened);
            }
        }
    }
}
