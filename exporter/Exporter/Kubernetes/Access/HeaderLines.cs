namespace Exporter.Kubernetes.Access;

/// <summary>
/// A connection on which one header can have several lines. HttpClient joins values with commas, but the API server takes each line of
/// Impersonate-Group for one group, commas included. Requests have no body: all written bytes are headers.
/// </summary>
internal sealed class HeaderLines(Stream inner) : UnseekableStream
{
    /// <summary>Stands for a line break between a value and the next line; values have no control characters.</summary>
    private const char Break = '\u0001';

    public override bool CanRead => true;

    public override bool CanWrite => true;

    /// <summary>The value of a header that is written as one line for each of these.</summary>
    internal static string Join(string name, IEnumerable<string> values) => string.Join($"{Break}{name}: ", values);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var lines = new List<byte>(buffer.Length);
        foreach (var value in buffer.Span)
        {
            lines.AddRange(value == Break ? "\r\n"u8 : [value]);
        }
        return inner.WriteAsync(lines.ToArray(), cancellationToken);
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => inner.ReadAsync(buffer, cancellationToken);

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override void Flush() => inner.Flush();

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }
        base.Dispose(disposing);
    }
}
