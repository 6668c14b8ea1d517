using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.State;

/// <summary>The memory of a ledger: segments, each with the records of one table. The first begins with the head. Used with the ledger's lock.</summary>
internal sealed class LedgerSegments(ILedgerMemory memory, MapLayout layout, LedgerTable[] tables) : IDisposable
{
    internal const int Pages = 32;

    internal const int Bytes = Pages * MappedArray.ElementBytes;

    /// <summary>Every segment but the first begins with the number of the table whose records it has, plus one; 0: it has none yet.</summary>
    private const int HeadBytes = 64;

    private readonly List<LedgerSegment> _segments = [];

    /// <summary>Segments that no table has records in.</summary>
    private readonly Stack<int> _spare = [];

    internal ref LedgerHead Head => ref MemoryMarshal.AsRef<LedgerHead>(_segments[0].Bytes);

    /// <summary>Opens the segments that there are in the memory. Returns whether there are any.</summary>
    internal bool TryOpen()
    {
        while (memory.Open(layout, _segments.Count, Pages) is { } segment)
        {
            _segments.Add(segment);
        }
        return _segments.Count > 0;
    }

    /// <summary>A free place for a record of a table; null where the memory has none.</summary>
    internal LedgerTable.Slot? TryTake(int table)
    {
        try
        {
            if (!tables[table].HasFree)
            {
                Add(table);
            }
            return tables[table].Take();
        }
        catch (BpfException)
        {
            return null;
        }
    }

    /// <summary>Gives a table the places of one more segment.</summary>
    /// <exception cref="BpfException">The kernel has no room for it.</exception>
    internal void Add(int table)
    {
        if (!_spare.TryPop(out var number))
        {
            number = _segments.Count;
            _segments.Add(memory.Create(layout, number, Pages));
        }
        if (number > 0)
        {
            MemoryMarshal.Write(_segments[number].Bytes, (ulong)table + 1);
        }
        foreach (var slot in SlotsOf(number, tables[table]).Reverse())
        {
            tables[table].Return(slot);
        }
    }

    /// <summary>The records that are in use; all other places are free from now on. Commits that a killed process did not finish are forgotten.</summary>
    internal List<(int Table, LedgerTable.Slot Slot)> Read()
    {
        _spare.Clear();
        Array.ForEach(tables, table => table.ForgetFree());
        var used = new List<(int Table, LedgerTable.Slot Slot)>();
        for (var number = _segments.Count - 1; number >= 0; number--)
        {
            var table = number == 0 ? 0 : (int)MemoryMarshal.Read<ulong>(_segments[number].Bytes) - 1;
            if (table < 0)
            {
                // A process was killed before it had a record in there.
                _segments[number].Bytes.Clear();
                _spare.Push(number);
                continue;
            }
            foreach (var slot in SlotsOf(number, tables[table]).Reverse())
            {
                slot.Table.ForgetUnfinished(slot);
                if (slot.Table.IsUsed(slot))
                {
                    used.Add((table, slot));
                }
                else
                {
                    slot.Table.Return(slot);
                }
            }
        }
        return used;
    }

    public void Dispose() => _segments.ForEach(segment => segment.Dispose());

    private IEnumerable<LedgerTable.Slot> SlotsOf(int segment, LedgerTable table)
    {
        // The head is in the first segment, and its slots are numbered from one on.
        var beginning = segment == 0 ? MappedArray.ElementBytes : HeadBytes;
        return Enumerable.Range(0, (Bytes - beginning) / table.RecordBytes)
            .Select(index => new LedgerTable.Slot(table, _segments[segment], beginning + (index * table.RecordBytes), ((ulong)segment << 32) + (ulong)index + 1));
    }
}
