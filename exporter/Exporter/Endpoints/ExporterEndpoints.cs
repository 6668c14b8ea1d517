using System.Text.Json;
using Exporter.Bpf;
using Exporter.Bpf.Tc;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.Programs;
using Prometheus;

namespace Exporter.Endpoints;

/// <summary>What the program serves.</summary>
internal static class ExporterEndpoints
{
    internal static void Map(WebApplication app, CollectorRegistry registry)
    {
        MapHealth(app, registry);
        Get(app, "/api/v1/pods", static context =>
        {
            context.Response.ContentType = "application/json; charset=utf-8";
            return JsonSerializer.SerializeAsync(context.Response.Body, FindPods(context), PodsDocumentContext.Default.PodsDocument, context.RequestAborted);
        });
        Get(app, "/api/v1/bpf", static context =>
        {
            context.Response.ContentType = "application/json; charset=utf-8";
            var services = context.RequestServices;
            var document = BpfDocument.Create(
                services.GetRequiredService<TcHook>(),
                services.GetService<PinDirectory>(),
                services.GetRequiredService<TimeProvider>(),
                services.GetRequiredService<ProgramObjects>(),
                services.GetRequiredService<PodTrafficPrograms>(),
                services.GetService<TcpHandshakePrograms>());
            return JsonSerializer.SerializeAsync(context.Response.Body, document, BpfDocumentContext.Default.BpfDocument, context.RequestAborted);
        });
        Get(app, "/", static context =>
        {
            context.Response.ContentType = "text/html; charset=utf-8";
            return context.Response.WriteAsync(LandingPage.Write(FindPods(context)));
        });
    }

    /// <summary>What is served in any case.</summary>
    internal static void MapHealth(WebApplication app, CollectorRegistry registry)
    {
        var scrapes = app.Services.GetRequiredService<RunningScrapes>();
        app.MapMetrics(registry: registry).Add(endpoint =>
        {
            var write = endpoint.RequestDelegate!;
            endpoint.RequestDelegate = async context =>
            {
                using var scrape = scrapes.Begin();
                await write(context);
            };
        });
        Get(app, "/healthz", static context =>
        {
            var stuck = context.RequestServices.GetRequiredService<LoopHealth>().Stuck();
            return Answer(context, stuck.Count == 0, $"stuck: {string.Join(", ", stuck)}");
        });
        Get(app, "/readyz", static context =>
        {
            var reasons = context.RequestServices.GetRequiredService<Readiness>().Reasons;
            return Answer(context, reasons.Count == 0, $"not ready: {string.Join("; ", reasons)}");
        });
    }

    /// <summary>Says which of the overloads is meant: the one that binds nothing.</summary>
    private static void Get(WebApplication app, string path, RequestDelegate answer) => app.MapGet(path, answer);

    private static PodsDocument FindPods(HttpContext context)
    {
        var services = context.RequestServices;
        return PodsDocument.Create(
            services.GetRequiredService<IPodSource>(),
            services.GetRequiredService<PodTable>(),
            services.GetRequiredService<PodLabels>(),
            services.GetRequiredService<TcHook>(),
            services.GetRequiredService<TimeProvider>());
    }

    private static Task Answer(HttpContext context, bool good, string problem)
    {
        context.Response.StatusCode = good ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(good ? "ok\n" : problem + "\n");
    }
}
