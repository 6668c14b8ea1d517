using Exporter.Kubernetes.Access;

namespace Exporter.Commands;

/// <summary>The body of an exporter's answer, which has to come without long silences: <see cref="HttpClient.Timeout"/> ends with the headers.</summary>
/// <param name="response">Disposed of with this.</param>
/// <param name="body">The same answer's.</param>
/// <param name="silence">The longest time without a byte.</param>
internal sealed class FlowsAnswer(HttpResponseMessage response, Stream body, Uri url, TimeSpan silence, TimeProvider time) : UnseekableStream
{
    public override bool CanRead => true;

    /// <exception cref="FlowsException">The rest of the answer does not come.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using var limit = new CancellationTokenSource(silence, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await body.ReadAsync(buffer, either.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new FlowsException($"{url} stopped in the middle of its answer: no byte came for {silence.TotalSeconds:0} s", e);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or HttpRequestException && !cancellationToken.IsCancellationRequested)
        {
            throw new FlowsException($"{url} stopped in the middle of its answer: {Failure.Describe(e)}", e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            response.Dispose();
        }
        base.Dispose(disposing);
    }
}
