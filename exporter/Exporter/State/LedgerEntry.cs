using Exporter.Bpf.Contract;
using Exporter.Pods;

namespace Exporter.State;

/// <summary>One record of the ledger, while somebody counts into it. Adding is for who has the ledger's lock.</summary>
internal sealed class LedgerEntry(Ledger ledger, Ledger.Slot slot, RecordKind kind, byte[] key, bool hasPlace) : IInterfaceRecord
{
    private LedgerCounts _pending;
    private bool _hasTraffic;
    private bool _hasHandshakes;

    internal Ledger.Slot Slot { get; private set; } = slot;

    internal RecordKind Kind => kind;

    internal byte[] Key => key;

    /// <summary>Whether it has a place in the ledger; else it ends with the process.</summary>
    internal bool HasPlace { get; private set; } = hasPlace;

    internal bool IsRemoved { get; private set; }

    /// <summary>Whether the next commit writes it.</summary>
    internal bool IsChanged { get; set; }

    internal ILedgerView? View { get; set; }

    internal LedgerCounts Committed => ledger.Read(Slot);

    /// <summary>The number of the commit that it was last written with.</summary>
    internal ulong Commit => ledger.ReadCommit(Slot);

    /// <summary>What was committed, and what will be.</summary>
    internal LedgerCounts Total
    {
        get
        {
            var total = Committed;
            AddPendingTo(ref total);
            return total;
        }
    }

    public void Add(in TrafficValue traffic)
    {
        Touch();
        if (_hasTraffic)
        {
            _pending.Traffic.Add(traffic);
        }
        else
        {
            _pending.Traffic = traffic;
        }
        _hasTraffic = true;
    }

    internal void Add(in HandshakeValue handshakes)
    {
        Touch();
        if (_hasHandshakes)
        {
            _pending.Handshakes.Add(handshakes);
        }
        else
        {
            _pending.Handshakes = handshakes;
        }
        _hasHandshakes = true;
    }

    internal void Add(in LedgerCounts counts)
    {
        Add(counts.Traffic);
        Add(counts.Handshakes);
    }

    /// <summary>The record is gone with the next commit.</summary>
    internal void Remove()
    {
        lock (ledger.Lock)
        {
            IsRemoved = true;
            Touch();
        }
    }

    /// <summary>A place has become free. For the ledger alone, which copies the counts.</summary>
    internal void PlaceIn(Ledger.Slot place) => (Slot, HasPlace) = (place, true);

    internal void Touch()
    {
        if (!IsChanged)
        {
            IsChanged = true;
            ledger.Touch(this);
        }
    }

    internal void AddPendingTo(ref LedgerCounts counts)
    {
        if (_hasTraffic)
        {
            counts.Traffic.Add(_pending.Traffic);
        }
        if (_hasHandshakes)
        {
            counts.Handshakes.Add(_pending.Handshakes);
        }
    }

    /// <summary>What was pending is committed.</summary>
    internal void Publish()
    {
        if (_hasTraffic)
        {
            View?.Show(_pending.Traffic);
        }
        if (_hasHandshakes)
        {
            View?.Show(_pending.Handshakes);
        }
        (_hasTraffic, _hasHandshakes, IsChanged) = (false, false, false);
    }
}
