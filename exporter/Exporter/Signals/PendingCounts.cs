using Exporter.Bpf;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>Counts of owners whose pods are not identified yet, kept until they are or until the wait is over. Used with the ledger's lock.</summary>
/// <typeparam name="TOwner">Identifies the owner.</typeparam>
/// <param name="fields">The fields of held rows.</param>
/// <param name="number">The number that the owner's record is found by.</param>
/// <param name="room">The most owners whose counts are held: each takes a record of the ledger, some KiB.</param>
internal sealed class PendingCounts<TOwner>(
    Ledger ledger, RowFields fields, Func<TOwner, ulong> number, TimeProvider time, TimeSpan wait, int room = 4096)
    where TOwner : notnull
{
    private readonly Dictionary<TOwner, Held> _held = [];

    private readonly ulong[] _row = new ulong[fields.Count];

    internal delegate void Taker(ReadOnlySpan<ulong> row);

    internal delegate void Crediter(IPodAccount owner, ReadOnlySpan<ulong> row);

    /// <summary>The record that is added to, which is there with the next commit; null where there is no room for another.</summary>
    internal LedgerEntry? TryHold(TOwner owner) => _held.Count < room || _held.ContainsKey(owner) ? Restore(owner) : null;

    /// <summary>Holds the rows of a previous process until their wait is over, also where there is no room.</summary>
    internal LedgerEntry Restore(TOwner owner)
    {
        if (!_held.TryGetValue(owner, out var held))
        {
            _held[owner] = held = new(ledger.Open(RecordKind.Held, RecordKey.Of(fields.Name, number(owner)), null), time.GetTimestamp());
        }
        return held.Entry;
    }

    /// <summary>Hands over the counts of owners whose pods are identified now, and of those whose wait is over.</summary>
    internal void Flush(Func<TOwner, IPodAccount?> find, Crediter credit, Taker giveUp)
    {
        foreach (var (owner, held) in _held)
        {
            var account = find(owner);
            if (account is null && time.GetElapsedTime(held.Since) < wait)
            {
                continue;
            }
            held.Entry.ReadTotal(fields, _row);
            if (account is not null)
            {
                credit(account, _row);
            }
            else
            {
                giveUp(_row);
            }
            held.Entry.Remove();
            // Removing does not disturb the enumeration of a Dictionary.
            _held.Remove(owner);
        }
    }

    private sealed record Held(LedgerEntry Entry, long Since);
}
