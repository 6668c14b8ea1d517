using System.Text;
using Exporter.Tests.Kubernetes;
using Microsoft.AspNetCore.Http;

namespace Exporter.Tests.Support;

/// <summary>Answers of a test's own making.</summary>
internal static class Answers
{
    internal static string EmptyList(string version) => $$$"""{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"{{{version}}}"},"items":[]}""";

    /// <summary>An event of a running pod in the namespace shop, whose uid is its name; ends with a newline.</summary>
    internal static string Event(string type, string name, string version, string address = "10.0.0.1") =>
        $$$$"""{"type":"{{{{type}}}}","object":{"metadata":{"namespace":"shop","name":"{{{{name}}}}","uid":"{{{{name}}}}","resourceVersion":"{{{{version}}}}"},"status":{"phase":"Running","podIP":"{{{{address}}}}"}}}""" + "\n";

    internal static string Bookmark(string version) => $$$$"""{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"{{{{version}}}}"},"spec":{"containers":null},"status":{}}}""" + "\n";

    /// <summary>The next lists are answered with this.</summary>
    internal static void AnswerLists(this ApiServer server, string body, int times = 1) =>
        server.Handle(request => request.IsList, context => context.AnswerAsync(body), times);

    /// <summary>The next watches are sent this, and end.</summary>
    internal static void AnswerWatches(this ApiServer server, string body, int times = 1) => server.AnswerWatches(Encoding.UTF8.GetBytes(body), times);

    internal static void AnswerWatches(this ApiServer server, byte[] body, int times = 1) =>
        server.Handle(request => request.IsWatch, context => context.StreamAsync(body), times);

    /// <summary>The next watch gets the recorded documents in the recorded chunks, and ends even where the recording was left.</summary>
    internal static void Feed(this ApiServer server, Transcript transcript)
    {
        if (transcript.End != TranscriptEnd.LeftByClient)
        {
            server.Enqueue(transcript);
            return;
        }
        server.Handle(transcript.Answers, async context =>
        {
            await context.StartChunkedAsync();
            var offset = 0;
            foreach (var (_, length) in transcript.Chunks!)
            {
                await context.WriteChunkAsync(transcript.Body.AsMemory(offset, length));
                offset += length;
            }
            await context.EndChunkedAsync();
        });
    }

    internal static async Task AnswerAsync(this HttpContext context, string body)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>An open watch on which nothing comes.</summary>
    internal static async Task HoldAsync(this HttpContext context)
    {
        await context.StartChunkedAsync();
        await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    internal static async Task StreamAsync(this HttpContext context, byte[] body)
    {
        await context.StartChunkedAsync();
        if (body.Length > 0)
        {
            await context.WriteChunkAsync(body);
        }
        await context.EndChunkedAsync();
    }
}
