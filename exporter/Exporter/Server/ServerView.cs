using Exporter.Exposition;
using Exporter.Health;
using Prometheus;

namespace Exporter.Server;

/// <summary>The content of all pages during one session, or while nothing is counted. The server stays while sessions come and go.</summary>
/// <param name="own">The exporter's own families, of the whole process.</param>
/// <param name="pods">The pods' families; null: nothing is counted.</param>
internal sealed class ServerView(CollectorRegistry own, LoopHealth health, Readiness readiness, PodsExposition? pods = null)
{
    /// <summary>Bytes that are written at once: half of what the server keeps of an answer that the client has not taken.</summary>
    private const int LongestPart = 32 << 10;

    internal LoopHealth Health => health;

    internal Readiness Readiness => readiness;

    /// <summary>Makes /api/v1/pods; null: nothing is counted.</summary>
    internal Func<PodsDocument>? Pods { get; init; }

    /// <summary>Makes /api/v1/bpf; null: nothing is counted.</summary>
    internal Func<BpfDocument>? Bpf { get; init; }

    /// <summary>Writes /api/v1/NAME of signals that have a page, by its name.</summary>
    internal IReadOnlyDictionary<string, (string ContentType, Func<byte[]> Write)> OfSignals { get; init; } = new Dictionary<string, (string, Func<byte[]>)>();

    /// <summary>Writes the pods' families and then the exporter's own, which end the exposition.</summary>
    /// <param name="refusals">Counts scrapes that are cut off.</param>
    internal async Task WriteMetricsAsync(HttpContext context, ServerRefusals refusals)
    {
        var format = ChooseFormat(context.Request);
        context.Response.Headers.Vary = "Accept";
        context.Response.ContentType = format == Exposition.ExpositionFormat.OpenMetrics
            ? PrometheusConstants.OpenMetricsContentTypeWithVersionAndEncoding
            : PrometheusConstants.TextContentTypeWithVersionAndEncoding;
        if (pods is null)
        {
            await ContentCoding.WriteAsync(context, async () => await WriteOwnAsync(context.Response.Body, format, context.RequestAborted));
            return;
        }
        using var own = new MemoryStream();
        using var snapshot = pods.Acquire(format);
        await using var cutOff = snapshot.IsCutOff.Register(() =>
        {
            refusals.Count(RefusalReason.SlowClient);
            context.Abort();
        });
        await WriteOwnAsync(own, format, context.RequestAborted);
        var last = own.GetBuffer().AsMemory(0, (int)own.Length);
        await ContentCoding.WriteAsync(
            context,
            () => WriteAsync(context, snapshot.Text, last),
            () => WriteAsync(context, snapshot.Zipped.Beginning, snapshot.Zipped.End(last.Span)));
    }

    /// <summary>Writes a body of two texts in parts: the server copies each into buffers of its own, and uses these again when a part is sent.</summary>
    private static async Task WriteAsync(HttpContext context, ReadOnlyMemory<byte> beginning, ReadOnlyMemory<byte> end)
    {
        context.Response.ContentLength = beginning.Length + end.Length;
        foreach (var text in (ReadOnlyMemory<byte>[])[beginning, end])
        {
            for (var rest = text; !rest.IsEmpty;)
            {
                var part = rest[..Math.Min(rest.Length, LongestPart)];
                await context.Response.BodyWriter.WriteAsync(part, context.RequestAborted);
                rest = rest[part.Length..];
            }
        }
    }

    private Task WriteOwnAsync(Stream stream, Exposition.ExpositionFormat format, CancellationToken cancellationToken) => own.CollectAndExportAsTextAsync(
        stream,
        format == Exposition.ExpositionFormat.OpenMetrics ? Prometheus.ExpositionFormat.OpenMetricsText : Prometheus.ExpositionFormat.PrometheusText,
        cancellationToken);

    /// <summary>The format that the client prefers; the text format by default.</summary>
    private static Exposition.ExpositionFormat ChooseFormat(HttpRequest request) =>
        request.GetTypedHeaders().Accept
            .Where(accepted => accepted.Quality is not 0)
            .OrderByDescending(accepted => accepted.Quality ?? 1)
            .Select(accepted => accepted.MediaType.Value)
            .FirstOrDefault(type => type is PrometheusConstants.TextContentType or PrometheusConstants.OpenMetricsContentType)
            == PrometheusConstants.OpenMetricsContentType
                ? Exposition.ExpositionFormat.OpenMetrics
                : Exposition.ExpositionFormat.Text;
}
