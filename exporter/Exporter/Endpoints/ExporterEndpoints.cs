using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Exporter.Bpf;
using Exporter.Bpf.Tc;
using Exporter.Health;
using Exporter.Pods;
using Exporter.Programs;

namespace Exporter.Endpoints;

/// <summary>What the program serves.</summary>
internal static class ExporterEndpoints
{
    internal static void Map(WebApplication app, ServedContent content)
    {
        Get("/metrics", static (served, context) => served.WriteMetricsAsync(context));
        Get("/healthz", static (served, context) =>
        {
            var stuck = served.Services.GetRequiredService<LoopHealth>().Stuck();
            return Answer(context, stuck.Count == 0, $"stuck: {string.Join(", ", stuck)}");
        });
        Get("/readyz", static (served, context) =>
        {
            var reasons = served.Services.GetRequiredService<Readiness>().Reasons;
            return Answer(context, reasons.Count == 0, $"not ready: {string.Join("; ", reasons)}");
        });
        Get("/api/v1/pods", static (served, context) => FindPods(served) is { } pods ? Write(context, pods, PodsDocumentContext.Default.PodsDocument) : NotFound(context));
        Get("/api/v1/bpf", static (served, context) => FindBpf(served) is { } bpf ? Write(context, bpf, BpfDocumentContext.Default.BpfDocument) : NotFound(context));
        Get("/", static (served, context) =>
        {
            context.Response.ContentType = "text/html; charset=utf-8";
            return context.Response.WriteAsync(LandingPage.Write(FindPods(served)));
        });

        // Says which of the overloads is meant: the one that binds nothing.
        void Get(string path, Func<Served, HttpContext, Task> answer) =>
            app.MapGet(path, (RequestDelegate)(async context => await answer(await content.GetAsync(context), context)));
    }

    /// <summary>Null where nothing is counted.</summary>
    private static PodsDocument? FindPods(Served served)
    {
        var services = served.Services;
        return services.GetService<IPodSource>() is not { } source ? null : PodsDocument.Create(
            source,
            services.GetRequiredService<PodTable>(),
            services.GetRequiredService<PodLabels>(),
            services.GetRequiredService<TcHook>(),
            services.GetRequiredService<TimeProvider>());
    }

    private static BpfDocument? FindBpf(Served served)
    {
        var services = served.Services;
        return services.GetService<PodTrafficPrograms>() is not { } programs ? null : BpfDocument.Create(
            services.GetRequiredService<TcHook>(),
            services.GetService<PinDirectory>(),
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ProgramObjects>(),
            programs,
            services.GetService<TcpHandshakePrograms>());
    }

    private static Task Write<T>(HttpContext context, T document, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        return JsonSerializer.SerializeAsync(context.Response.Body, document, type, context.RequestAborted);
    }

    private static Task NotFound(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    private static Task Answer(HttpContext context, bool good, string problem)
    {
        context.Response.StatusCode = good ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(good ? "ok\n" : problem + "\n");
    }
}
