using System.Diagnostics.CodeAnalysis;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Signals.Uplinks;

/// <summary>A row: the number of the slot, and of the source that it was read from.</summary>
internal readonly record struct UplinkKey(int Slot, int Source);

/// <summary>Reads the rows of all slots, for one session. Its readings know what is committed.</summary>
internal sealed class UplinkRows(UplinkTable table, UplinkPrograms programs, Ledger ledger) : IRowSource<UplinkKey, UplinkRow>, IRowOwners<UplinkKey, UplinkReading>, IDisposable
{
    private readonly LinkClient _client = new();

    /// <summary>Held while the kernel is asked, by the drain or by the loop of the signal.</summary>
    private readonly Lock _asking = new();
    private DrainedRow<UplinkKey, UplinkRow>[] _rows = new DrainedRow<UplinkKey, UplinkRow>[2 * UplinkSlots.Count];
    private IReadOnlyList<Uplink> _read = [];

    /// <summary>Takes up the records of what was read of an interface before.</summary>
    /// <param name="isNew">Whether it gets its slot just now: what its counters have until now is not counted.</param>
    internal void Begin(Uplink uplink, bool isNew)
    {
        lock (ledger.Lock)
        {
            uplink.Readings =
            [
                .. programs.Values.Select(values => new UplinkReading(uplink, values, Open(values.Id, uplink.Slot))),
                new(uplink, null, Open(0, uplink.Slot)),
            ];
        }
        Ask(uplink);
        lock (ledger.Lock)
        {
            foreach (var reading in isNew ? uplink.Readings : [])
            {
                reading.Begin();
            }
            ledger.Commit();
        }
    }

    /// <summary>Removes the records of maps that are gone, after all interfaces have taken up theirs.</summary>
    internal void ForgetOthers()
    {
        lock (ledger.Lock)
        {
            HashSet<uint> maps = [0, .. programs.Values.Select(values => (uint)values.Id)];
            foreach (var entry in ledger.FindRestored(RecordKind.OfSignal, UplinkRow.Fields).Where(entry => !maps.Contains((uint)(RecordKey.ReadNumber(entry.Key) >> 32))))
            {
                ledger.Open(RecordKind.OfSignal, entry.Key, null).Remove();
            }
            ledger.Commit();
        }
    }

    /// <summary>Removes the records of an interface whose slot is free: with two of one slot, the next process could take the older one.</summary>
    internal void Forget(Uplink uplink)
    {
        lock (ledger.Lock)
        {
            foreach (var reading in uplink.Readings)
            {
                reading.Forget();
            }
            ledger.Commit();
        }
    }

    public ReadOnlySpan<DrainedRow<UplinkKey, UplinkRow>> Read(out RowsRead read)
    {
        var count = 0;
        UplinkRow row = default;
        foreach (var uplink in table.All)
        {
            Ask(uplink);
        }
        lock (ledger.Lock)
        {
            // With the lock: without its records an interface would be read from zero.
            _read = table.All;
            foreach (var uplink in _read)
            {
                for (var source = 0; source < uplink.Readings.Count; source++)
                {
                    if (uplink.Readings[source].TryRead(RowFields.CountersOf(ref row)))
                    {
                        if (count == _rows.Length)
                        {
                            Array.Resize(ref _rows, 2 * count);
                        }
                        _rows[count++] = new(new(uplink.Slot, source), row);
                    }
                }
            }
        }
        read = new(Map: null, IsPrevious: false, IsCommitted: false, IsLast: true);
        return _rows.AsSpan(0, count);
    }

    public void Keep()
    {
    }

    /// <summary>Nothing is removed from the kernel: its counters only grow.</summary>
    public void Release()
    {
    }

    /// <summary>The signal's own programs are all renewed when it is loaded.</summary>
    public void EndPrevious()
    {
    }

    public bool TryFind(in UplinkKey key, [MaybeNullWhen(false)] out UplinkReading owner)
    {
        owner = null;
        foreach (var uplink in _read)
        {
            owner = uplink.Slot == key.Slot ? uplink.Readings[key.Source] : owner;
        }
        return owner is not null;
    }

    public IPodAccount? FindAccount(UplinkReading owner) => owner.Uplink.Account;

    /// <summary>No pod has it.</summary>
    public PodInterface? FindInterface(in UplinkKey key) => null;

    public ulong NumberOf(UplinkReading owner) => (ulong)owner.Uplink.Slot;

    /// <summary>Nothing is held: an interface has its account before its first frame is counted.</summary>
    public bool TryRestore(ulong number, IReadOnlyList<PodInterface> restored, [MaybeNullWhen(false)] out UplinkReading owner)
    {
        owner = null;
        return false;
    }

    public void Dispose() => _client.Dispose();

    private void Ask(Uplink uplink)
    {
        lock (_asking)
        {
            foreach (var reading in uplink.Readings)
            {
                reading.Ask(_client);
            }
        }
    }

    private LedgerEntry Open(int map, int slot) => ledger.Open(RecordKind.OfSignal, RecordKey.Of(UplinkRow.Fields.Name, ((ulong)(uint)map << 32) | (uint)slot), null);
}
