using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Exporter.Server;

/// <summary>The paths that the server answers.</summary>
internal static class ExporterEndpoints
{
    /// <param name="maxAtOnce">How many scrapes may run at once, and how many requests for the other pages; probes always get an answer.</param>
    internal static void Map(WebApplication app, CurrentView content, int maxAtOnce, ServerRefusals refusals)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        var scrapes = new RequestSlots(maxAtOnce, RefusalReason.Scrapes, refusals, time);
        var pages = new RequestSlots(maxAtOnce, RefusalReason.Pages, refusals, time);
        Serve("/metrics", scrapes, (view, context) => view.WriteMetricsAsync(context, refusals));
        Serve("/healthz", null, static (view, context) =>
        {
            var stuck = view.Health.Stuck();
            return Answer(context, stuck.Count == 0, $"stuck: {string.Join(", ", stuck)}");
        });
        Serve("/readyz", null, static (view, context) =>
        {
            var reasons = view.Readiness.Reasons;
            return Answer(context, reasons.Count == 0, $"not ready: {string.Join("; ", reasons)}");
        });
        Serve("/api/v1/pods", pages, static (view, context) => Write(context, view.Pods?.Invoke(), PodsDocumentContext.Default.PodsDocument));
        Serve("/api/v1/bpf", pages, static (view, context) => Write(context, view.Bpf?.Invoke(), BpfDocumentContext.Default.BpfDocument));
        Serve("/api/v1/{signal}", pages, static (view, context) => WritePage(context, view.OfSignals.GetValueOrDefault((string)context.Request.RouteValues["signal"]!)));
        Serve("/", pages, static (view, context) => ContentCoding.WriteAsync(context, () =>
        {
            context.Response.ContentType = "text/html; charset=utf-8";
            return context.Response.WriteAsync(LandingPage.Write(view.Pods?.Invoke()));
        }));

        // Other methods get 405 with Allow. The cast chooses the overload without parameter binding.
        void Serve(string path, RequestSlots? slots, Func<ServerView, HttpContext, Task> answer) =>
            app.MapMethods(path, [HttpMethods.Get, HttpMethods.Head], (RequestDelegate)(context =>
            {
                return slots is null ? AnswerAsync() : slots.RunAsync(context, content, view => answer(view, context));

                async Task AnswerAsync() => await answer(await content.GetAsync(context), context);
            }));
    }

    /// <param name="document">Null: the exporter does not count now, and the answer is 404.</param>
    private static Task Write<T>(HttpContext context, T? document, JsonTypeInfo<T> type)
        where T : class =>
        Write(context, "application/json; charset=utf-8", document is null ? null : body => JsonSerializer.SerializeAsync(body, document, type, context.RequestAborted));

    /// <param name="page">Without a writer: there is no such page, or the exporter does not count now, and the answer is 404.</param>
    private static Task WritePage(HttpContext context, (string ContentType, Func<byte[]>? Write) page) =>
        Write(context, page.ContentType, page.Write is not { } write ? null : body => body.WriteAsync(write(), context.RequestAborted).AsTask());

    private static Task Write(HttpContext context, string contentType, Func<Stream, Task>? write)
    {
        if (write is null)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }
        return ContentCoding.WriteAsync(context, () =>
        {
            context.Response.ContentType = contentType;
            return write(context.Response.Body);
        });
    }

    private static Task Answer(HttpContext context, bool good, string problem)
    {
        context.Response.StatusCode = good ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(good ? "ok\n" : problem + "\n");
    }
}
