namespace Exporter.Kubernetes;

/// <summary>A time limit for an answer; it starts again with each sign of life.</summary>
internal sealed class Patience : IDisposable
{
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenSource _either;
    private readonly TimeSpan _patience;
    private readonly string _awaited;

    /// <param name="awaited">The awaited answer in words, for the error.</param>
    internal Patience(TimeSpan patience, string awaited, TimeProvider time, CancellationToken stoppingToken)
    {
        (_patience, _awaited) = (patience, awaited);
        _over = new(patience, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_over.Token, stoppingToken);
    }

    internal CancellationToken Token => _either.Token;

    internal void Renew() => _over.CancelAfter(_patience);

    /// <exception cref="TimeoutException">The time limit has passed.</exception>
    internal async Task<T> WhileAsync<T>(Task<T> task)
    {
        try
        {
            return await task;
        }
        catch (OperationCanceledException e) when (_over.IsCancellationRequested)
        {
            throw new TimeoutException($"Nothing came for {_patience.TotalSeconds} s while waiting for {_awaited}", e);
        }
    }

    public void Dispose()
    {
        _either.Dispose();
        _over.Dispose();
    }
}
