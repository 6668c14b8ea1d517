using Exporter.Discovery;
using Exporter.Health;
using Exporter.Metrics;
using Prometheus;

namespace Exporter.Endpoints;

/// <summary>What the program serves.</summary>
internal static class ExporterEndpoints
{
    internal static void Map(WebApplication app, CollectorRegistry registry)
    {
        app.MapMetrics(registry: registry);
        app.MapGet("/healthz", (HttpContext context) =>
        {
            var stuck = context.RequestServices.GetRequiredService<LoopHealth>().Stuck();
            return Answer(context, stuck.Count == 0, $"stuck: {string.Join(", ", stuck)}");
        });
        app.MapGet("/readyz", (HttpContext context) => Answer(
            context,
            context.RequestServices.GetRequiredService<InterfaceReconciler>().IsReady,
            "not ready: the interfaces are not known yet"));
        app.MapGet("/", (HttpContext context) =>
        {
            context.Response.ContentType = "text/html; charset=utf-8";
            return context.Response.WriteAsync(LandingPage);
        });
    }

    private static Task Answer(HttpContext context, bool good, string problem)
    {
        context.Response.StatusCode = good ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(good ? "ok\n" : problem + "\n");
    }

    private static string LandingPage { get; } = $"""
        <!doctype html>
        <html lang="en">
        <head><meta charset="utf-8"><title>podnet-exporter</title></head>
        <body>
        <h1>podnet-exporter</h1>
        <p>What this node's pods send and receive on the network. Version {ExporterMetrics.Version}.</p>
        <ul>
        <li><a href="/metrics">/metrics</a>: for Prometheus</li>
        <li><a href="/healthz">/healthz</a>: whether its loops turn</li>
        <li><a href="/readyz">/readyz</a>: whether it knows the interfaces and counts</li>
        </ul>
        </body>
        </html>

        """;
}
