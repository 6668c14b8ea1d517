using Confluent.Kafka;

namespace Exporter.Export.Kafka;

/// <summary>
/// Hands the client the bytes of the present record. The client wants an array of the exact length and copies it at once, so one array of each length is kept,
/// up to a length: <paramref name="most"/> squared by two bytes, if records of all lengths come.
/// </summary>
internal sealed class RecordBytes(int most) : ISerializer<int>
{
    private readonly byte[]?[] _arrays = new byte[]?[most + 1];
    private byte[]? _current;

    internal void Set(ReadOnlySpan<byte> bytes)
    {
        _current = bytes.Length == 0 ? null : bytes.Length > most ? new byte[bytes.Length] : _arrays[bytes.Length] ??= new byte[bytes.Length];
        bytes.CopyTo(_current);
    }

    public byte[] Serialize(int data, SerializationContext context) => _current!;
}
