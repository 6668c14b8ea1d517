using Exporter.Metrics;
using Prometheus;

namespace Exporter.Endpoints;

/// <summary>What the server serves: the server stays while what counts comes, goes and is made anew.</summary>
/// <param name="services">Of what counts, or of what is there in its place.</param>
internal sealed class Served(IServiceProvider services, CollectorRegistry registry)
{
    private readonly MetricServerMiddleware _metrics = new(static _ => Task.CompletedTask, new() { Registry = registry });
    private readonly RunningScrapes _scrapes = services.GetRequiredService<RunningScrapes>();

    internal IServiceProvider Services => services;

    internal async Task WriteMetricsAsync(HttpContext context)
    {
        using var scrape = _scrapes.Begin();
        await _metrics.Invoke(context);
    }
}

/// <summary>Holds it. Whoever asks before there is any waits, as at a start.</summary>
internal sealed class ServedContent
{
    private TaskCompletionSource<Served> _current = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal Task<Served> GetAsync(HttpContext context) => Volatile.Read(ref _current).Task.WaitAsync(context.RequestAborted);

    internal void Set(Served served)
    {
        if (!Volatile.Read(ref _current).TrySetResult(served))
        {
            var next = new TaskCompletionSource<Served>();
            next.SetResult(served);
            Volatile.Write(ref _current, next);
        }
    }
}
