using Exporter.Pods;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>Counts of owners whose pods are not identified yet, kept until they are or until the wait is over. Used with the ledger's lock.</summary>
/// <typeparam name="TOwner">Identifies the owner.</typeparam>
/// <param name="kind">Of its records.</param>
/// <param name="number">What the owner's record is found by.</param>
/// <param name="room">The most owners whose counts are held: each takes a record of the ledger, which is 4 KiB.</param>
internal sealed class PendingCounts<TOwner>(Ledger ledger, RecordKind kind, Func<TOwner, ulong> number, TimeProvider time, TimeSpan wait, int room = 4096)
    where TOwner : notnull
{
    private readonly Dictionary<TOwner, Held> _held = [];

    internal delegate void Taker(in LedgerCounts counts);

    internal delegate void Crediter(IPodCounts owner, in LedgerCounts counts);

    /// <summary>The record that is added to, which is there with the next commit; null where there is no room for another.</summary>
    internal LedgerEntry? TryHold(TOwner owner) => _held.Count < room || _held.ContainsKey(owner) ? Restore(owner) : null;

    /// <summary>Also where there is no room: what a previous process holds is held until the wait is over.</summary>
    internal LedgerEntry Restore(TOwner owner)
    {
        if (!_held.TryGetValue(owner, out var held))
        {
            _held[owner] = held = new(ledger.Open(kind, RecordKey.Of(number(owner)), null), time.GetTimestamp());
        }
        return held.Entry;
    }

    /// <summary>Hands over the counts of owners whose pods are identified now, and of those whose wait is over.</summary>
    internal void Settle(Func<TOwner, IPodCounts?> find, Crediter credit, Taker giveUp)
    {
        foreach (var (owner, held) in _held)
        {
            if (find(owner) is { } counts)
            {
                credit(counts, held.Entry.Total);
            }
            else if (time.GetElapsedTime(held.Since) >= wait)
            {
                giveUp(held.Entry.Total);
            }
            else
            {
                continue;
            }
            held.Entry.Remove();
            // Removing does not disturb the enumeration of a Dictionary.
            _held.Remove(owner);
        }
    }

    private sealed record Held(LedgerEntry Entry, long Since);
}
