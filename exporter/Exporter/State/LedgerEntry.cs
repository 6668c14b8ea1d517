using Exporter.Bpf;
using Exporter.Pods;

namespace Exporter.State;

/// <summary>
/// A record of the ledger that is in use: a key, and a row for each signal that was added to it. Callers of <see cref="Add(RowFields, ReadOnlySpan{ulong})"/>
/// hold the ledger's lock.
/// </summary>
internal sealed class LedgerEntry : IInterfaceRecord
{
    private readonly Ledger _ledger;
    private readonly Part _keyPart;

    /// <summary>Rows by the number of the signal; null where nothing was added.</summary>
    private readonly Part?[] _rows;

    private bool _isChanged;

    internal LedgerEntry(Ledger ledger, LedgerTable.Slot slot, RecordKind kind, byte[] key)
    {
        (_ledger, _keyPart, Kind, Key) = (ledger, new(slot), kind, key);
        _rows = new Part?[ledger.Signals.Count];
    }

    internal RecordKind Kind { get; }

    internal byte[] Key { get; }

    /// <summary>Whether all of it has a place in the ledger; else a part ends with the process.</summary>
    internal bool HasPlace
    {
        get
        {
            var has = !_keyPart.Slot.IsOwn;
            foreach (var row in _rows)
            {
                has &= row?.Slot.IsOwn != true;
            }
            return has;
        }
    }

    internal bool IsRemoved { get; private set; }

    internal ILedgerView? View { get; set; }

    /// <summary>The number of the commit that it was last written with.</summary>
    internal ulong Commit
    {
        get
        {
            var commit = _keyPart.Slot.Table.ReadCommit(_keyPart.Slot);
            foreach (var row in _rows)
            {
                commit = row is null ? commit : Math.Max(commit, row.Slot.Table.ReadCommit(row.Slot));
            }
            return commit;
        }
    }

    /// <summary>The signal's committed row, which the next commit but one overwrites; empty where there is none.</summary>
    internal ReadOnlySpan<ulong> ReadCommitted(RowFields fields) => _rows[_ledger.NumberOf(fields)] is { } row ? row.Slot.Table.Read(row.Slot) : default;

    /// <summary>The signal's row with all that was added; all zero where there is none.</summary>
    /// <param name="total">As long as the row.</param>
    public void ReadTotal(RowFields fields, Span<ulong> total)
    {
        total.Clear();
        if (_rows[_ledger.NumberOf(fields)] is { } row)
        {
            row.Slot.Table.Read(row.Slot).CopyTo(total);
            if (row.IsChanged)
            {
                fields.Merge(total, row.Pending);
            }
        }
    }

    /// <summary>Adds a row with the next commit. Allocates for the first of a signal only.</summary>
    public void Add(RowFields fields, ReadOnlySpan<ulong> row) => Add(_ledger.NumberOf(fields), row);

    /// <summary>Adds all rows of another record.</summary>
    internal void AddAll(LedgerEntry other)
    {
        for (var signal = 0; signal < _rows.Length; signal++)
        {
            if (other._rows[signal] is { } row)
            {
                var total = new ulong[row.Slot.Table.Words];
                other.ReadTotal(_ledger.Signals[signal], total);
                Add(signal, total);
            }
        }
    }

    /// <summary>The record is gone with the next commit.</summary>
    internal void Remove()
    {
        lock (_ledger.Lock)
        {
            IsRemoved = true;
            Touch();
        }
    }

    /// <summary>Shows the committed rows, and from now on those that commits add.</summary>
    internal void ShowIn(ILedgerView? view)
    {
        View = view;
        for (var signal = 0; signal < _rows.Length; signal++)
        {
            if (view is not null && _rows[signal] is { } row)
            {
                view.Restore(_ledger.Signals[signal], row.Slot.Table.Read(row.Slot));
            }
        }
    }

    /// <summary>The next commit writes the record.</summary>
    internal void Touch()
    {
        if (!_isChanged)
        {
            _isChanged = true;
            _ledger.Touch(this);
        }
    }

    /// <summary>A row that was found in the memory. For the ledger, as all that follow.</summary>
    internal void Restore(int signal, LedgerTable.Slot slot) => _rows[signal] = new(slot);

    /// <summary>The record that continues in this process with the counts committed to memory that ends with it; null: there are none.</summary>
    internal LedgerEntry? Reopen()
    {
        if (_keyPart.ForgetUnfinished() is not { } key)
        {
            return null;
        }
        var entry = new LedgerEntry(_ledger, key, Kind, Key);
        for (var signal = 0; signal < _rows.Length; signal++)
        {
            entry._rows[signal] = _rows[signal]?.ForgetUnfinished() is { } slot ? new(slot) : null;
        }
        return entry;
    }

    internal void Write(ulong commit)
    {
        WriteKey(commit);
        for (var signal = 0; signal < _rows.Length; signal++)
        {
            if (_rows[signal] is { } row && (row.IsChanged || IsRemoved))
            {
                row.Slot.Head[0] = _keyPart.Slot.Number;
                row.Slot.Table.Write(row.Slot, row.IsChanged ? row.Pending : default, !IsRemoved, commit);
                row.IsWritten = true;
            }
        }
    }

    /// <summary>Gives the parts without a place the places that have become free, with what this commit has them hold.</summary>
    internal void Place(ulong commit)
    {
        if (_keyPart.Slot.IsOwn)
        {
            if (_ledger.TryTakeKey(Key.Length) is not { } slot)
            {
                return;
            }
            _keyPart.MoveTo(slot, commit);
            WriteHead(slot);
        }
        for (var signal = 0; signal < _rows.Length; signal++)
        {
            if (_rows[signal] is { Slot.IsOwn: true } row && _ledger.TryTakeRow(signal) is { } slot)
            {
                slot.Head[0] = _keyPart.Slot.Number;
                row.MoveTo(slot, commit);
            }
        }
    }

    /// <summary>All that was written of it is in force.</summary>
    internal void Finish()
    {
        _keyPart.IsWritten = false;
        for (var signal = 0; signal < _rows.Length; signal++)
        {
            if (_rows[signal] is not { } row)
            {
                continue;
            }
            if (row.IsChanged)
            {
                View?.Show(_ledger.Signals[signal], row.Pending);
            }
            (row.IsChanged, row.IsWritten) = (false, false);
            Free(row);
        }
        _isChanged = false;
        Free(_keyPart);
    }

    /// <summary>A new record is written with its key; later a key is written again only when it is removed.</summary>
    internal void WriteHead(LedgerTable.Slot slot)
    {
        (slot.Head[0], slot.Head[1]) = ((ulong)Kind, (ulong)Key.Length);
        Key.CopyTo(slot.Key);
    }

    private void WriteKey(ulong commit)
    {
        if (IsRemoved || !_keyPart.Slot.Table.IsUsed(_keyPart.Slot))
        {
            _keyPart.Slot.Table.Write(_keyPart.Slot, default, !IsRemoved, commit);
            _keyPart.IsWritten = true;
        }
    }

    private void Add(int signal, ReadOnlySpan<ulong> row)
    {
        Touch();
        var part = _rows[signal] ??= new(_keyPart.Slot.IsOwn ? _ledger.MakeOwnRow(signal) : _ledger.TakeRow(signal, this));
        if (part.IsChanged)
        {
            _ledger.Signals[signal].Merge(part.Pending, row);
        }
        else
        {
            row.CopyTo(part.Pending);
            part.IsChanged = true;
        }
    }

    private void Free(Part part)
    {
        if (IsRemoved && !part.Slot.IsOwn)
        {
            part.Slot.Table.Return(part.Slot);
        }
    }

    /// <summary>The key, or the row of one signal.</summary>
    private sealed class Part(LedgerTable.Slot slot)
    {
        internal LedgerTable.Slot Slot { get; private set; } = slot;

        /// <summary>The counts that the next commit adds, where <see cref="IsChanged"/>.</summary>
        internal ulong[] Pending { get; } = slot.Table.Words == 0 ? [] : new ulong[slot.Table.Words];

        internal bool IsChanged { get; set; }

        /// <summary>Whether the commit that is being made has written it.</summary>
        internal bool IsWritten { get; set; }

        internal void MoveTo(LedgerTable.Slot place, ulong commit)
        {
            Slot.Table.CopyTo(Slot, place, IsWritten, commit);
            (Slot, IsWritten) = (place, true);
        }

        /// <summary>The slot, where a commit has it in use.</summary>
        internal LedgerTable.Slot? ForgetUnfinished()
        {
            Slot.Table.ForgetUnfinished(Slot);
            return Slot.Table.IsUsed(Slot) ? Slot : null;
        }
    }
}
