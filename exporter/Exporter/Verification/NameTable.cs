using System.IO.Hashing;
using System.Text;

namespace Exporter.Verification;

/// <summary>Keeps each text once, so that a name which is in every record is not made again for each.</summary>
internal sealed class NameTable
{
    private readonly Dictionary<byte[], string> _names = new(new ByContent());

    internal string this[ReadOnlySpan<byte> text]
    {
        get
        {
            var names = _names.GetAlternateLookup<ReadOnlySpan<byte>>();
            if (!names.TryGetValue(text, out var name))
            {
                names[text] = name = Encoding.UTF8.GetString(text);
            }
            return name;
        }
    }

    private sealed class ByContent : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> alternate) => (int)XxHash3.HashToUInt64(alternate);

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
