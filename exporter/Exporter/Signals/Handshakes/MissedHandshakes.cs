using Exporter.State;

namespace Exporter.Signals.Handshakes;

/// <summary>
/// Adds up the misses of one generation of programs after the other. The kernel counts the misses of each program from zero, so a record has how many of a
/// generation are in the total already: a process that is started after a kill reads the same misses from the kernel again.
/// </summary>
internal sealed class MissedHandshakes(Ledger ledger, LedgerCounter total)
{
    private readonly Dictionary<ulong, LedgerEntry> _counted = [];

    /// <summary>Continues with what a previous process has added. Called with the ledger's lock.</summary>
    internal void Restore()
    {
        foreach (var entry in ledger.FindRestored(RecordKind.OfSignal, HandshakeValue.Fields))
        {
            _counted[RecordKey.ReadNumber(entry.Key)] = ledger.Open(RecordKind.OfSignal, entry.Key, null);
        }
    }

    /// <summary>With the next commit. Called with the ledger's lock.</summary>
    /// <param name="missed">The misses of all existing programs.</param>
    internal void Add(ReadOnlySpan<MissedChanges> missed)
    {
        foreach (var (generation, count) in missed)
        {
            var counted = _counted.GetValueOrDefault(generation);
            var before = counted is null ? 0 : LedgerCounter.Read(counted);
            if (count <= before)
            {
                continue;
            }
            counted ??= _counted[generation] = ledger.Open(RecordKind.OfSignal, RecordKey.Of(HandshakeValue.Fields.Name, generation), null);
            LedgerCounter.Add(counted, count - before);
            total.Add(count - before);
        }
        if (_counted.Count > 0)
        {
            RemoveOthers(missed);
        }
    }

    /// <summary>Misses of programs that are gone.</summary>
    private void RemoveOthers(ReadOnlySpan<MissedChanges> missed)
    {
        foreach (var (generation, entry) in _counted)
        {
            var isThere = false;
            foreach (var one in missed)
            {
                isThere |= one.Generation == generation;
            }
            if (!isThere)
            {
                entry.Remove();
                _counted.Remove(generation);
            }
        }
    }
}
