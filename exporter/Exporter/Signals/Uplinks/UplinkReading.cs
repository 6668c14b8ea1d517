using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.State;

namespace Exporter.Signals.Uplinks;

/// <summary>
/// What was read of one slot from one source: a map of the programs, or the interface's own counters. Sources only grow; the record has what of them is committed,
/// so that each count is credited once, however the process ends.
/// </summary>
/// <param name="values">The map's values; null: the interface's own counters.</param>
/// <param name="seen">The record, of all fields.</param>
internal sealed class UplinkReading(Uplink uplink, PerCpuRows? values, LedgerEntry seen)
{
    private static readonly int Words = UplinkValue.Fields.Count;

    private readonly ulong[] _total = new ulong[UplinkRow.Fields.Count];
    private readonly ulong[] _seen = new ulong[UplinkRow.Fields.Count];

    /// <summary>The interface's own counters as they were asked for last; null where they are not known.</summary>
    private LinkDrops? _drops;

    /// <summary>Whether nothing is counted before the first reading.</summary>
    private bool _isNew;

    internal Uplink Uplink => uplink;

    internal bool IsOfMap => values is not null;

    /// <summary>
    /// Asks for the interface's own counters, which the next reading takes. Called without the ledger's lock: the kernel's lock of all interfaces is needed, and is held
    /// for as long as programs are attached to others.
    /// </summary>
    internal void Ask(LinkClient client) => _drops = IsOfMap || uplink.LeftAt is not null ? null : FindDrops(client);

    /// <summary>Reads the counts since the last commit. Called with the ledger's lock.</summary>
    /// <param name="row">All zero where nothing was counted.</param>
    /// <returns>Whether something was counted.</returns>
    /// <exception cref="BpfException">The map could not be read.</exception>
    internal bool TryRead(Span<ulong> row)
    {
        if (!TryReadTotal())
        {
            return false;
        }
        seen.ReadTotal(UplinkRow.Fields, _seen);
        for (var field = 0; field < row.Length; field++)
        {
            // An interface whose driver has begun again at zero.
            row[field] = _total[field] >= _seen[field] ? _total[field] - _seen[field] : Restart(field);
        }
        if (_isNew)
        {
            _isNew = false;
            Commit(row);
            return false;
        }
        return row.ContainsAnyExcept(0ul);
    }

    /// <summary>The rows since the last commit are credited; called with the ledger's lock.</summary>
    internal void Commit(ReadOnlySpan<ulong> row) => seen.Add(UplinkRow.Fields, row);

    /// <summary>Counts from now on. Called with the ledger's lock, before the slot is in use.</summary>
    internal void Begin()
    {
        Span<ulong> row = stackalloc ulong[UplinkRow.Fields.Count];
        _isNew = true;
        // If the kernel does not answer now, the first drain that has an answer is the beginning.
        _ = TryRead(row);
    }

    /// <summary>The source is gone. Called with the ledger's lock.</summary>
    internal void Forget() => seen.Remove();

    private bool TryReadTotal()
    {
        Array.Clear(_total);
        if (values is not null)
        {
            values.Read(2 * uplink.Slot, _total.AsSpan(0, Words));
            values.Read((2 * uplink.Slot) + 1, _total.AsSpan(Words, Words));
            return true;
        }
        if (_drops is not { } drops)
        {
            return false;
        }
        RowFields.RowOf(drops).CopyTo(_total.AsSpan(2 * Words));
        return true;
    }

    /// <summary>Null where the interface is gone, or the kernel does not answer now: the next drain asks again, and nothing is lost.</summary>
    private LinkDrops? FindDrops(LinkClient client)
    {
        try
        {
            return client.GetDrops(uplink.Link.Ifindex);
        }
        catch (NetlinkException)
        {
            return null;
        }
    }

    /// <summary>Sums wrap: adding the rest to 2^64 sets the record's field to zero.</summary>
    private ulong Restart(int field)
    {
        Span<ulong> back = stackalloc ulong[UplinkRow.Fields.Count];
        back.Clear();
        back[field] = 0 - _seen[field];
        seen.Add(UplinkRow.Fields, back);
        return _total[field];
    }
}
