using Exporter.Exposition;
using Exporter.Server;
using Prometheus;

namespace Exporter.Endpoints;

/// <summary>What the server serves: the server stays while sessions come and go.</summary>
/// <param name="services">Of the session, or of what is there in its place.</param>
/// <param name="own">The exporter's own families, of the whole process.</param>
internal sealed class ServerView(IServiceProvider services, CollectorRegistry own)
{
    private readonly PodsExposition? _pods = services.GetService<PodsExposition>();

    internal IServiceProvider Services => services;

    /// <summary>Writes the pods' families, and behind them the exporter's own, which end the exposition.</summary>
    /// <param name="refusals">Counts scrapes that are cut off.</param>
    internal async Task WriteMetricsAsync(HttpContext context, ServerRefusals refusals)
    {
        var format = ChooseFormat(context.Request);
        context.Response.ContentType = format == Exposition.ExpositionFormat.OpenMetrics
            ? PrometheusConstants.OpenMetricsContentTypeWithVersionAndEncoding
            : PrometheusConstants.TextContentTypeWithVersionAndEncoding;
        var body = context.Response.BodyWriter;
        if (_pods is null)
        {
            await ContentCoding.WriteAsync(context, async () => await WriteOwnAsync(context.Response.Body, format, context.RequestAborted));
            return;
        }
        using var own = new MemoryStream();
        using var snapshot = _pods.Acquire(format);
        await using var cutOff = snapshot.IsCutOff.Register(() =>
        {
            refusals.Count(RefusalReason.SlowClient);
            context.Abort();
        });
        await WriteOwnAsync(own, format, context.RequestAborted);
        var last = own.GetBuffer().AsMemory(0, (int)own.Length);
        await ContentCoding.WriteAsync(
            context,
            async () =>
            {
                await body.WriteAsync(snapshot.Text, context.RequestAborted);
                await body.WriteAsync(last, context.RequestAborted);
            },
            async () =>
            {
                var zipped = snapshot.Zipped;
                await body.WriteAsync(zipped.Beginning, context.RequestAborted);
                await body.WriteAsync(zipped.End(last.Span), context.RequestAborted);
            });
    }

    private Task WriteOwnAsync(Stream stream, Exposition.ExpositionFormat format, CancellationToken cancellationToken) => own.CollectAndExportAsTextAsync(
        stream,
        format == Exposition.ExpositionFormat.OpenMetrics ? Prometheus.ExpositionFormat.OpenMetricsText : Prometheus.ExpositionFormat.PrometheusText,
        cancellationToken);

    /// <summary>The format that the client accepts best, the text format where it says nothing.</summary>
    private static Exposition.ExpositionFormat ChooseFormat(HttpRequest request) =>
        request.GetTypedHeaders().Accept
            .OrderByDescending(accepted => accepted.Quality ?? 1)
            .Select(accepted => accepted.MediaType.Value)
            .FirstOrDefault(type => type is PrometheusConstants.TextContentType or PrometheusConstants.OpenMetricsContentType)
            == PrometheusConstants.OpenMetricsContentType
                ? Exposition.ExpositionFormat.OpenMetrics
                : Exposition.ExpositionFormat.Text;
}
