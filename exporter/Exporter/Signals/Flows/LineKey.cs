using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// Keys of lines, by which a sink puts lines into partitions: address, port and protocol of the end that began, so that all records of its connections are in
/// one. A record without that address has the digest of the end's names instead. With a salt the key is a keyed hash (HMAC-SHA-256, its first 128 bits).
/// </summary>
internal sealed class LineKey
{
    private const int HashLength = 16;

    /// <summary>An address, a port and a protocol.</summary>
    private readonly byte[] _text = new byte[FlowAddress.MaxText + 16];

    private readonly byte[] _hash = new byte[HMACSHA256.HashSizeInBytes];

    /// <summary>The key of an identity.</summary>
    /// <returns>Valid until the next call.</returns>
    internal ReadOnlySpan<byte> Of(FlowAddress address)
    {
        _ = address.TryFormat(_text, out var length);
        return _text.AsSpan(0, length);
    }

    /// <summary>The key of a flow or of several.</summary>
    /// <param name="record">With its whole addresses.</param>
    /// <returns>Valid until the next call.</returns>
    internal ReadOnlySpan<byte> Of(RecordContext context, FlowRecord record)
    {
        ref readonly var source = ref record.Source;
        var length = 0;
        if (!source.Address.IsNone)
        {
            _ = source.Address.TryFormat(_text, out length);
        }
        else if (source.End is { } end)
        {
            BinaryPrimitives.WriteUInt128BigEndian(_hash, end.Digest);
            length = Base64Url.EncodeToUtf8(_hash.AsSpan(0, HashLength), _text);
        }
        _text[length++] = (byte)'|';
        _ = Utf8Formatter.TryFormat(source.Port, _text.AsSpan(length), out var digits);
        length += digits;
        _text[length++] = (byte)'|';
        _ = Utf8Formatter.TryFormat(record.Protocol, _text.AsSpan(length), out digits);
        length += digits;
        var salt = context.Observer.Salt.Span;
        if (salt.IsEmpty)
        {
            return _text.AsSpan(0, length);
        }
        _ = HMACSHA256.HashData(salt, _text.AsSpan(0, length), _hash);
        return _text.AsSpan(0, Base64Url.EncodeToUtf8(_hash.AsSpan(0, HashLength), _text));
    }
}
