namespace Exporter.Kubernetes;

/// <summary>A body that reports each of its parts as it comes: a list may take long, and its time limit is for silence.</summary>
/// <param name="body">The stream's, which disposes it.</param>
/// <param name="heard">Called whenever bytes have come.</param>
internal sealed class HeardStream(Stream body, Action heard) : UnseekableStream
{
    public override bool CanRead => true;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await body.ReadAsync(buffer, cancellationToken);
        if (read > 0)
        {
            heard();
        }
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            body.Dispose();
        }
        base.Dispose(disposing);
    }
}
