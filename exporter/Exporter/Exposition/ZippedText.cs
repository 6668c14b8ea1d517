using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;

namespace Exporter.Exposition;

/// <summary>
/// The beginning of a gzip stream of one member (RFC 1952): a text that is compressed once, for streams that end differently. It ends with an empty
/// stored block, at a whole byte, so that more blocks of DEFLATE (RFC 1951) can follow.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A MemoryStream holds nothing but its bytes.")]
internal sealed class ZippedText
{
    private const CompressionLevel Level = CompressionLevel.Fastest;

    /// <summary>The CRC and the length of the text.</summary>
    private const int TrailerLength = 8;

    /// <summary>The CRC's polynomial, with the coefficient of x^31 in the lowest bit.</summary>
    private const uint Polynomial = 0xedb88320;

    /// <summary>No name, no time, made on Unix.</summary>
    private static readonly byte[] Header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

    /// <summary>An empty one with fixed codes.</summary>
    private static readonly byte[] LastBlock = [3, 0];

    /// <summary>Its bytes are written over by the next text, which needs as many.</summary>
    private readonly MemoryStream _zipped = new();

    private uint _crc;

    /// <summary>How many bytes of text it stands for.</summary>
    private uint _size;

    /// <summary>Valid until the next call of <see cref="Write"/>.</summary>
    internal ReadOnlyMemory<byte> Beginning => _zipped.GetBuffer().AsMemory(0, (int)_zipped.Length);

    /// <summary>Compresses another text in the place of the one before.</summary>
    internal void Write(ReadOnlySpan<byte> text)
    {
        _zipped.SetLength(0);
        (_crc, _size) = (0, (uint)text.Length);
        if (text.IsEmpty)
        {
            // GZipStream writes nothing where nothing was written.
            _zipped.Write(Header);
            return;
        }
        long length;
        using (var gzip = new GZipStream(_zipped, Level, leaveOpen: true))
        {
            gzip.Write(text);
            gzip.Flush();
            length = _zipped.Length;
        }
        // The end of a stream, which is not a part of the beginning, has the CRC. (Compression computes it many times faster than System.IO.Hashing in a native binary.)
        _crc = ReadCrc(Beginning.Span);
        _zipped.SetLength(length);
    }

    /// <summary>The rest of a stream that ends with this text. Any thread may call it.</summary>
    internal byte[] End(ReadOnlySpan<byte> text)
    {
        using var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, Level, leaveOpen: true))
        {
            gzip.Write(text);
        }
        var zipped = stream.GetBuffer().AsSpan(0, (int)stream.Length);
        var blocks = text.IsEmpty ? LastBlock : zipped[Header.Length..^TrailerLength];
        var rest = new byte[blocks.Length + TrailerLength];
        blocks.CopyTo(rest);
        var trailer = rest.AsSpan(blocks.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, text.IsEmpty ? _crc : Combine(_crc, ReadCrc(zipped), text.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(trailer[sizeof(uint)..], unchecked(_size + (uint)text.Length));
        return rest;
    }

    private static uint ReadCrc(ReadOnlySpan<byte> stream) => BinaryPrimitives.ReadUInt32LittleEndian(stream[^TrailerLength..]);

    /// <summary>The CRC of a text after another, of the CRC of each: the first times x^(8 * length), plus the second, as polynomials over GF(2).</summary>
    /// <param name="length">Bytes of the second.</param>
    private static uint Combine(uint first, uint second, int length)
    {
        const uint Byte = 1u << (31 - 8);
        for (var power = Byte; length > 0; length >>= 1)
        {
            if ((length & 1) != 0)
            {
                first = Multiply(first, power);
            }
            power = Multiply(power, power);
        }
        return first ^ second;
    }

    private static uint Multiply(uint one, uint other)
    {
        var product = 0u;
        for (var bit = 1u << 31; bit != 0; bit >>= 1)
        {
            product ^= (one & bit) != 0 ? other : 0;
            other = (other >> 1) ^ ((other & 1) != 0 ? Polynomial : 0);
        }
        return product;
    }
}
