using System.Text;
using System.Threading.Channels;

namespace Exporter.Tests.Support;

/// <summary>The body of an answer that comes in parts, when a test gives them.</summary>
internal sealed class PartStream : UnseekableStream
{
    private readonly Channel<byte[]> _parts = Channel.CreateUnbounded<byte[]>();
    private readonly Channel<bool> _reads = Channel.CreateUnbounded<bool>();

    public override bool CanRead => true;

    /// <summary>Gives the reader a part that is not longer than its buffer; an empty one is the end.</summary>
    internal void Give(string part) => _parts.Writer.TryWrite(Encoding.UTF8.GetBytes(part));

    /// <summary>Returns when the next part is awaited, and so when the one before it was taken.</summary>
    internal Task WaitForReaderAsync() => _reads.Reader.ReadAsync().AsTask().WaitAsync(Silence.Limit);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _reads.Writer.TryWrite(true);
        var part = await _parts.Reader.ReadAsync(cancellationToken);
        part.CopyTo(buffer);
        return part.Length;
    }
}
