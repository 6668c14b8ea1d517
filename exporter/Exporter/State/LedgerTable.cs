using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.State;

/// <summary>
/// Records of one size: keys of one length, or the rows of one signal. A record is a head of two words, two copies, and the rest, which holds a
/// key. Each copy is the number of the commit that it came with, whether the record is in use, and the row. The copy of the latest commit is in force.
/// </summary>
/// <param name="ledger">Knows the number of the last commit.</param>
/// <param name="fields">The fields of a row; null: keys have none.</param>
/// <param name="keyBytes">How many bytes a key can have; rows have none.</param>
internal sealed class LedgerTable(Ledger ledger, RowFields? fields, int keyBytes)
{
    private const int HeadWords = 2;

    /// <summary>The beginning of a copy.</summary>
    private const int CopyHeadWords = 2;

    private readonly Stack<Slot> _free = [];

    internal int RecordBytes { get; } = ((HeadWords + (2 * (CopyHeadWords + (fields?.Count ?? 0)))) * sizeof(ulong)) + keyBytes;

    internal int Words { get; } = fields?.Count ?? 0;

    internal int KeyBytes => keyBytes;

    internal bool HasFree => _free.Count > 0;

    internal Slot Take() => _free.Pop();

    internal void Return(Slot slot) => _free.Push(slot);

    internal void ForgetFree() => _free.Clear();

    /// <summary>Memory for one record, which ends with the process.</summary>
    internal Slot MakeOwn() => new(this, new OwnSegment(new byte[RecordBytes]), 0, 0);

    /// <summary>The copy that is in force, or null where no commit has the record in use.</summary>
    internal ReadOnlySpan<ulong> Read(Slot slot) => IsUsed(slot) ? Copy(slot, InForce(slot))[CopyHeadWords..] : default;

    internal bool IsUsed(Slot slot)
    {
        var copy = Copy(slot, InForce(slot));
        return Age(copy[0]) > 0 && copy[1] != 0;
    }

    /// <summary>The number of the commit that the record was last written with; 0: none.</summary>
    internal ulong ReadCommit(Slot slot) => Age(Copy(slot, InForce(slot))[0]);

    /// <summary>Writes the copy that is not in force, from the one that is and the row that is added.</summary>
    /// <param name="added">Empty: nothing.</param>
    internal void Write(Slot slot, ReadOnlySpan<ulong> added, bool isUsed, ulong commit)
    {
        var committed = Read(slot);
        var next = Copy(slot, 1 - InForce(slot));
        var row = next[CopyHeadWords..];
        if (committed.IsEmpty)
        {
            row.Clear();
        }
        else
        {
            committed.CopyTo(row);
        }
        if (!added.IsEmpty)
        {
            fields!.Merge(row, added);
        }
        (next[1], next[0]) = (isUsed ? 1u : 0u, commit);
    }

    /// <summary>Makes another slot hold the same with this commit.</summary>
    /// <param name="isWritten">Whether this commit has written the slot that is copied.</param>
    internal void CopyTo(Slot from, Slot to, bool isWritten, ulong commit)
    {
        var inForce = InForce(from);
        var source = Copy(from, isWritten ? 1 - inForce : inForce);
        var target = Copy(to, 1 - InForce(to));
        source[1..].CopyTo(target[1..]);
        target[0] = commit;
    }

    /// <summary>Marks copies of a commit that a killed process did not finish: the next commit has the same number, and is another.</summary>
    internal void ForgetUnfinished(Slot slot)
    {
        for (var index = 0; index < 2; index++)
        {
            ref var commit = ref Copy(slot, index)[0];
            commit = Age(commit);
        }
    }

    /// <summary>Which of the two copies.</summary>
    private int InForce(Slot slot) => Age(Copy(slot, 0)[0]) >= Age(Copy(slot, 1)[0]) ? 0 : 1;

    /// <summary>A copy of a commit that never was in force is older than all.</summary>
    private ulong Age(ulong commit) => commit <= ledger.LastCommit ? commit : 0;

    private Span<ulong> Copy(Slot slot, int index) => slot.AllWords.Slice(HeadWords + (index * (CopyHeadWords + Words)), CopyHeadWords + Words);

    /// <summary>The place of a record.</summary>
    /// <param name="Number">The number of the place in the ledger, which is never 0; 0: the record is in memory that ends with the process.</param>
    internal sealed record Slot(LedgerTable Table, LedgerSegment Segment, int Offset, ulong Number)
    {
        internal Span<ulong> AllWords => MemoryMarshal.Cast<byte, ulong>(Segment.Bytes.Slice(Offset, Table.RecordBytes));

        /// <summary>Of a key its kind and its length; of a row the number of its key's slot.</summary>
        internal Span<ulong> Head => AllWords[..HeadWords];

        /// <summary>Room for a key.</summary>
        internal Span<byte> Key => Segment.Bytes.Slice(Offset + Table.RecordBytes - Table.KeyBytes, Table.KeyBytes);

        internal bool IsOwn => Number == 0;
    }
}
