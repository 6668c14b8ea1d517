using Exporter.Metrics;
using Prometheus;

namespace Exporter.Endpoints;

/// <summary>What the server serves: the server stays while sessions come and go.</summary>
/// <param name="services">Of the session, or of what is there in its place.</param>
/// <param name="own">The exporter's own families, of the whole process.</param>
/// <param name="pods">The pods' series of the session; null: there is no session.</param>
internal sealed class Served(IServiceProvider services, CollectorRegistry own, CollectorRegistry? pods)
{
    /// <summary>Ends an exposition in OpenMetrics, and must not be between two registries.</summary>
    private static readonly int EndBytes = "# EOF\n".Length;

    private readonly RunningScrapes _scrapes = services.GetRequiredService<RunningScrapes>();

    internal IServiceProvider Services => services;

    internal async Task WriteMetricsAsync(HttpContext context)
    {
        using var scrape = _scrapes.Begin();
        var format = ChooseFormat(context.Request);
        context.Response.ContentType = format == ExpositionFormat.OpenMetricsText
            ? PrometheusConstants.OpenMetricsContentTypeWithVersionAndEncoding
            : PrometheusConstants.TextContentTypeWithVersionAndEncoding;
        var body = context.Response.Body;
        if (pods is null)
        {
            await own.CollectAndExportAsTextAsync(body, format, context.RequestAborted);
            return;
        }
        using var first = new MemoryStream();
        await own.CollectAndExportAsTextAsync(first, format, context.RequestAborted);
        var length = (int)first.Length - (format == ExpositionFormat.OpenMetricsText ? EndBytes : 0);
        await body.WriteAsync(first.GetBuffer().AsMemory(0, length), context.RequestAborted);
        await pods.CollectAndExportAsTextAsync(body, format, context.RequestAborted);
    }

    /// <summary>The format that the client accepts best, the text format where it says nothing.</summary>
    private static ExpositionFormat ChooseFormat(HttpRequest request) =>
        request.GetTypedHeaders().Accept
            .OrderByDescending(accepted => accepted.Quality ?? 1)
            .Select(accepted => accepted.MediaType.Value)
            .FirstOrDefault(type => type is PrometheusConstants.TextContentType or PrometheusConstants.OpenMetricsContentType)
            == PrometheusConstants.OpenMetricsContentType
                ? ExpositionFormat.OpenMetricsText
                : ExpositionFormat.PrometheusText;
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
