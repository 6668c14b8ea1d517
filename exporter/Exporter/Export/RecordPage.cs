using System.Buffers.Binary;

namespace Exporter.Export;

/// <summary>A place between two records of a page.</summary>
/// <param name="Line">Where the next line begins.</param>
/// <param name="Entry">Where the next record's entry ends.</param>
internal readonly record struct PagePosition(int Line, int Entry);

/// <summary>
/// Memory of whole lines, one behind the other from the front, so that a sink can write many at once. From the back towards them grow the entries of
/// the records: eight bytes with the lengths and the kind, and before these the key.
/// </summary>
internal sealed class RecordPage(int size)
{
    private const int EntryBytes = 8;

    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(size);

    internal PagePosition Start => new(0, size);

    /// <summary>The bytes that a record takes.</summary>
    internal static int Cost(int line, int key) => line + EntryBytes + key;

    internal static int Room(PagePosition tail) => tail.Entry - tail.Line;

    /// <summary>Appends a record, for which the caller has found that there is room.</summary>
    /// <returns>The new tail.</returns>
    internal PagePosition Append(PagePosition tail, ReadOnlySpan<byte> line, LineKind kind, ReadOnlySpan<byte> key)
    {
        line.CopyTo(_bytes.AsSpan(tail.Line));
        var entry = _bytes.AsSpan(tail.Entry - EntryBytes, EntryBytes);
        BinaryPrimitives.WriteInt32LittleEndian(entry, line.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[4..], (ushort)key.Length);
        entry[6] = (byte)kind;
        var next = new PagePosition(tail.Line + line.Length, tail.Entry - EntryBytes - key.Length);
        key.CopyTo(_bytes.AsSpan(next.Entry));
        return next;
    }

    internal ExportRecord Read(PagePosition at, out PagePosition next)
    {
        var entry = _bytes.AsSpan(at.Entry - EntryBytes, EntryBytes);
        var line = BinaryPrimitives.ReadInt32LittleEndian(entry);
        var key = BinaryPrimitives.ReadUInt16LittleEndian(entry[4..]);
        next = new(at.Line + line, at.Entry - EntryBytes - key);
        return new(_bytes.AsSpan(at.Line, line), _bytes.AsSpan(next.Entry, key), (LineKind)entry[6]);
    }

    internal ReadOnlyMemory<byte> Lines(PagePosition from, PagePosition to) => _bytes.AsMemory(from.Line, to.Line - from.Line);
}
