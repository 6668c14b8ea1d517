using System.Buffers.Binary;

namespace Exporter.Export;

/// <summary>An interval that is complete: the numbers that its closing record needs.</summary>
/// <param name="Number">Ascends from interval to interval.</param>
/// <param name="Records">Its flow and rest records.</param>
/// <param name="Bytes">Their lines, in bytes.</param>
/// <param name="ReadAt">The time of the reading, which all records of the interval have.</param>
internal readonly record struct IntervalEnd(ulong Number, long Records, long Bytes, DateTimeOffset Start, DateTimeOffset ReadAt)
{
    /// <summary>The size of its binary form, which the ring keeps.</summary>
    internal const int Size = 40;

    internal static IntervalEnd Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(from),
        BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
        BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
        new(BinaryPrimitives.ReadInt64LittleEndian(from[24..]), TimeSpan.Zero),
        new(BinaryPrimitives.ReadInt64LittleEndian(from[32..]), TimeSpan.Zero));

    internal void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, Number);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], Records);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], Bytes);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], Start.UtcTicks);
        BinaryPrimitives.WriteInt64LittleEndian(to[32..], ReadAt.UtcTicks);
    }
}
