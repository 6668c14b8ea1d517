using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Exporter.Exposition;

/// <summary>
/// The beginning of a gzip stream of one member (RFC 1952): a text that is compressed once, for streams that end differently. It ends with an empty
/// stored block, at a whole byte, so that more blocks of DEFLATE (RFC 1951) can follow.
/// </summary>
internal sealed class ZippedText
{
    private const CompressionLevel Level = CompressionLevel.Fastest;

    /// <summary>No name, no time, made on Unix.</summary>
    private static readonly byte[] Header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

    /// <summary>An empty one with fixed codes.</summary>
    private static readonly byte[] LastBlock = [3, 0];

    private byte[] _zipped = [];
    private Crc32 _crc = new();
    private int _length;

    /// <summary>How many bytes of text it stands for.</summary>
    private uint _size;

    /// <summary>Valid until the next call of <see cref="Write"/>.</summary>
    internal ReadOnlyMemory<byte> Beginning => _zipped.AsMemory(0, _length);

    /// <summary>Compresses another text in the place of the one before.</summary>
    internal void Write(ReadOnlySpan<byte> text)
    {
        _crc = new();
        _crc.Append(text);
        _size = (uint)text.Length;
        using var zipped = new MemoryStream(_length);
        zipped.Write(Header);
        // Disposing it writes the end of a stream, which is not a part of the beginning.
        using var deflate = new DeflateStream(zipped, Level, leaveOpen: true);
        deflate.Write(text);
        deflate.Flush();
        (_zipped, _length) = (zipped.GetBuffer(), (int)zipped.Length);
    }

    /// <summary>The rest of a stream that ends with this text. Any thread may call it.</summary>
    internal byte[] End(ReadOnlySpan<byte> text)
    {
        var crc = _crc.Clone();
        crc.Append(text);
        using var rest = new MemoryStream();
        if (text.IsEmpty)
        {
            // DeflateStream writes no end where nothing was written.
            rest.Write(LastBlock);
        }
        using (var deflate = new DeflateStream(rest, Level, leaveOpen: true))
        {
            deflate.Write(text);
        }
        Span<byte> trailer = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, crc.GetCurrentHashAsUInt32());
        BinaryPrimitives.WriteUInt32LittleEndian(trailer[4..], unchecked(_size + (uint)text.Length));
        rest.Write(trailer);
        return rest.ToArray();
    }
}
