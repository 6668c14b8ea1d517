using System.Buffers.Binary;
using System.Buffers.Text;
using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;

namespace Exporter.Records;

/// <summary>
/// The id of a record: XXH128 over epoch, interval, dataset and the key of the record in them. A repeat of the record has the same id; the
/// encoding of the parts is fixed therefore. Each part has a fixed length, or is the last, so that different parts are different bytes.
/// Where the observer has a salt, it is a keyed hash (HMAC-SHA-256, its first 128 bits): from ids alone no one can find out hidden addresses.
/// </summary>
internal readonly record struct EventId(UInt128 Value)
{
    /// <summary>Bytes of the text: base64url without padding.</summary>
    internal const int TextLength = 22;

    private const int Length = 16;

    /// <summary>Epoch, interval and dataset.</summary>
    private const int HeadLength = Length + sizeof(long) + 1;

    private const int AddressLength = 1 + Length;

    private const int FlowLength = HeadLength + sizeof(long) + 2 + (2 * (AddressLength + sizeof(ushort))) + (2 * Length);

    /// <summary>The id of the record of one flow.</summary>
    /// <param name="generation">The interface's.</param>
    internal static EventId OfFlow(RecordContext context, long generation, in FlowTuple tuple) => OfFlows(context, generation, FlowGroup.Connection, tuple, null, null);

    /// <summary>The id of the record of a group of flows.</summary>
    /// <param name="tuple">The parts of the tuple that the flows have in common.</param>
    /// <param name="local">The name of the end of the observer's pod, where flows are grouped by names.</param>
    /// <param name="remote">The name of the other end, where flows are grouped by names.</param>
    internal static EventId OfFlows(RecordContext context, long generation, FlowGroup group, in FlowTuple tuple, RecordEnd? local, RecordEnd? remote)
    {
        Span<byte> bytes = stackalloc byte[FlowLength];
        bytes.Clear();
        var at = WriteHead(context, RecordDataset.Flow, bytes);
        BinaryPrimitives.WriteInt64BigEndian(bytes[at..], generation);
        at += sizeof(long);
        bytes[at++] = (byte)group;
        bytes[at++] = tuple.Protocol;
        at += Write(tuple.Local, tuple.LocalPort, bytes[at..]);
        at += Write(tuple.Remote, tuple.RemotePort, bytes[at..]);
        BinaryPrimitives.WriteUInt128BigEndian(bytes[at..], local?.Digest ?? default);
        BinaryPrimitives.WriteUInt128BigEndian(bytes[(at + Length)..], remote?.Digest ?? default);
        return Hash(context, bytes);
    }

    internal static EventId OfRest(RecordContext context, long generation, RestDirection direction, RestReason reason)
    {
        Span<byte> bytes = stackalloc byte[HeadLength + sizeof(long) + 2];
        var at = WriteHead(context, RecordDataset.Rest, bytes);
        BinaryPrimitives.WriteInt64BigEndian(bytes[at..], generation);
        bytes[at + sizeof(long)] = (byte)direction;
        bytes[at + sizeof(long) + 1] = (byte)reason;
        return Hash(context, bytes);
    }

    /// <param name="sink">The name of the sink that the interval's record is written to, at most 64 bytes.</param>
    internal static EventId OfInterval(RecordContext context, string sink)
    {
        const int MaxSink = 64;
        Span<byte> bytes = stackalloc byte[HeadLength + MaxSink];
        var at = WriteHead(context, RecordDataset.Interval, bytes);
        at += Encoding.UTF8.GetBytes(sink, bytes[at..]);
        return Hash(context, bytes[..at]);
    }

    /// <param name="timestamp">The record's, in milliseconds as it is written.</param>
    internal static EventId OfIdentity(RecordContext context, FlowAddress address, DateTimeOffset timestamp)
    {
        Span<byte> bytes = stackalloc byte[HeadLength + AddressLength + sizeof(long)];
        bytes.Clear();
        var at = WriteHead(context, RecordDataset.Identity, bytes);
        bytes[at] = (byte)address.Family;
        _ = address.Write(bytes[(at + 1)..]);
        BinaryPrimitives.WriteInt64BigEndian(bytes[(at + AddressLength)..], timestamp.ToUnixTimeMilliseconds());
        return Hash(context, bytes);
    }

    /// <param name="utf8">At least <see cref="TextLength"/> bytes.</param>
    internal void Format(Span<byte> utf8)
    {
        Span<byte> bytes = stackalloc byte[Length];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Value);
        _ = Base64Url.EncodeToUtf8(bytes, utf8);
    }

    public override string ToString()
    {
        Span<byte> text = stackalloc byte[TextLength];
        Format(text);
        return Encoding.ASCII.GetString(text);
    }

    private static int WriteHead(RecordContext context, RecordDataset dataset, Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt128BigEndian(bytes, context.Observer.Epoch);
        BinaryPrimitives.WriteInt64BigEndian(bytes[Length..], context.Interval);
        bytes[HeadLength - 1] = (byte)dataset;
        return HeadLength;
    }

    private static int Write(FlowAddress address, ushort port, Span<byte> bytes)
    {
        bytes[0] = (byte)address.Family;
        _ = address.Write(bytes[1..]);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[AddressLength..], port);
        return AddressLength + sizeof(ushort);
    }

    private static EventId Hash(RecordContext context, ReadOnlySpan<byte> bytes)
    {
        var salt = context.Observer.Salt.Span;
        if (salt.IsEmpty)
        {
            return new(XxHash128.HashToUInt128(bytes));
        }
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        _ = HMACSHA256.HashData(salt, bytes, hash);
        return new(BinaryPrimitives.ReadUInt128BigEndian(hash));
    }
}
