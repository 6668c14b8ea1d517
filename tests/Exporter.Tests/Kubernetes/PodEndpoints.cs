using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Exporter.Tests.Kubernetes;

/// <summary>Lists and watches of a cluster's pods over HTTP, with what can go wrong.</summary>
/// <param name="time">For timeoutSeconds.</param>
internal sealed class PodEndpoints(Cluster cluster, TimeProvider time)
{
    // The API server's own: what its encoder hands on, and what is worth compressing.
    private const int ChunkLength = 2048;
    private const int CompressedFrom = 128 * 1024;

    internal static async Task FailAsync(HttpContext context, ApiFailure failure)
    {
        WriteHead(context, failure.Code, failure.ContentType);
        if (failure.RetryAfter > 0)
        {
            context.Response.Headers.RetryAfter = failure.RetryAfter.ToString(CultureInfo.InvariantCulture);
        }
        await WriteWholeAsync(context, Encoding.UTF8.GetBytes(failure.Body));
    }

    internal async Task ListAsync(HttpContext context, ApiRequest request, Fault fault)
    {
        await DelayAsync(fault.Delay, context);
        if (fault.Break == Breaking.Error)
        {
            throw ApiFailure.Of(fault.ErrorCode, watch: false, fault.RetryAfter);
        }
        var body = cluster.List(
            Node(request),
            ReadVersion(request),
            request["resourceVersionMatch"] == "Exact",
            request["resourceVersion"] == "0" && cluster.HasWatchCache ? 0 : int.Parse(request["limit"] ?? "0", CultureInfo.InvariantCulture),
            request["continue"]);
        WriteHead(context, StatusCodes.Status200OK, "application/json");
        if (body.Length > CompressedFrom && request.Headers.GetValueOrDefault("Accept-Encoding", "").Contains("gzip", StringComparison.Ordinal))
        {
            body = Compress(body);
            context.Response.Headers.ContentEncoding = "gzip";
            context.Response.Headers.Vary = "Accept-Encoding";
        }
        if (body.Length <= ChunkLength && fault == Fault.None)
        {
            await WriteWholeAsync(context, body);
            return;
        }
        await context.StartChunkedAsync();
        var cut = fault.AtByte ?? body.Length / 2;
        if (fault.Break is not Breaking.Not)
        {
            await SendAsync(context, fault, body.AsMemory(0, cut), ChunkLength);
            await BreakAsync(context, fault);
            return;
        }
        var split = fault.Split ? fault.AtByte ?? (request.Number % body.Length) : 0;
        await SendAsync(context, fault, body.AsMemory(0, split), body.Length);
        await SendAsync(context, fault, body.AsMemory(split), fault.Split ? body.Length : ChunkLength);
        await context.EndChunkedAsync();
    }

    /// <param name="current">The fault as it is at the moment.</param>
    internal async Task WatchAsync(HttpContext context, ApiRequest request, Func<Fault> current)
    {
        var version = request["sendInitialEvents"] == "true" ? 0 : ReadVersion(request);
        using var watch = cluster.Watch(Node(request), version, request["allowWatchBookmarks"] is "true" or "1");
        using var timeout = request["timeoutSeconds"] is { } seconds
            ? new CancellationTokenSource(TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture)), time)
            : new CancellationTokenSource();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, context.RequestAborted);
        WriteHead(context, StatusCodes.Status200OK, "application/json");
        await context.StartChunkedAsync();
        var sent = 0;
        var held = new List<byte[]>();
        try
        {
            // An ERROR needs no event to come.
            while (current() is not { Break: Breaking.Error } failing || sent < failing.AfterEvents)
            {
                var next = await watch.Events.ReadAsync(over.Token);
                var fault = current();
                await DelayAsync(fault.Delay - Stopwatch.GetElapsedTime(next.Timestamp), context);
                if (fault.Break is not (Breaking.Not or Breaking.Error) && sent >= fault.AfterEvents)
                {
                    await SendHeldAsync(context, fault, held);
                    await BreakInEventAsync(context, fault, next.Line);
                    return;
                }
                held.AddRange(fault.Twice ? [next.Line, next.Line] : [next.Line]);
                if (held.Count >= fault.EventsPerChunk)
                {
                    await SendHeldAsync(context, fault, held, sent);
                }
                sent++;
            }
            await SendHeldAsync(context, current(), held);
            await context.WriteChunkAsync(ErrorEvent(current(), version));
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            await SendHeldAsync(context, Fault.None, held);
        }
        catch (System.Threading.Channels.ChannelClosedException)
        {
            await SendHeldAsync(context, Fault.None, held);
        }
        await context.EndChunkedAsync();
    }

    private static void WriteHead(HttpContext context, int status, string contentType)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.Headers.Append("Audit-Id", Guid.NewGuid().ToString());
        context.Response.Headers.CacheControl = "no-cache, private";
    }

    private static async Task WriteWholeAsync(HttpContext context, byte[] body)
    {
        context.Response.ContentLength = body.Length;
        await context.Response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }

    private static byte[] Compress(byte[] body)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest))
        {
            gzip.Write(body);
        }
        return compressed.ToArray();
    }

    private static Task DelayAsync(TimeSpan delay, HttpContext context) =>
        delay > TimeSpan.Zero ? Task.Delay(delay, context.RequestAborted) : Task.CompletedTask;

    private static async Task SendHeldAsync(HttpContext context, Fault fault, List<byte[]> held, int number = 0)
    {
        byte[] lines = [.. held.SelectMany(line => line)];
        held.Clear();
        var split = !fault.Split || lines.Length == 0 ? 0 : fault.AtByte ?? (1 + (number % (lines.Length - 1)));
        await SendAsync(context, fault, lines.AsMemory(0, split), lines.Length);
        await SendAsync(context, fault, lines.AsMemory(split), lines.Length);
    }

    /// <summary>In chunks of a length, or byte by byte.</summary>
    private static async Task SendAsync(HttpContext context, Fault fault, ReadOnlyMemory<byte> data, int length)
    {
        for (var chunk = fault.ByteByByte ? 1 : length; data.Length > 0; data = data[Math.Min(chunk, data.Length)..])
        {
            await context.WriteChunkAsync(data[..Math.Min(chunk, data.Length)]);
            await DelayAsync(fault.Pause, context);
        }
    }

    private static async Task BreakInEventAsync(HttpContext context, Fault fault, byte[] line)
    {
        var cut = fault.AtByte ?? (fault.Break is Breaking.HalfOpen or Breaking.Unanswered ? 0 : line.Length / 2);
        if (cut > 0)
        {
            await context.WriteChunkAsync(line.AsMemory(0, cut), declared: line.Length);
        }
        await BreakAsync(context, fault);
    }

    private static Task BreakAsync(HttpContext context, Fault fault) =>
        fault.Break is Breaking.HalfOpen or Breaking.Unanswered ? context.StaySilentAsync() : context.BreakAsync(reset: fault.Break == Breaking.Reset);

    private static string? Node(ApiRequest request)
    {
        var selector = request["fieldSelector"]?.Split('=', 2);
        return selector is null or ["spec.nodeName", _] ? selector?[1].TrimStart('=') : throw ApiFailure.BadRequest($"field label not supported: {selector[0]}");
    }

    private static long ReadVersion(ApiRequest request) =>
        request["resourceVersion"] is not { Length: > 0 } text ? 0
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version
        : throw ApiFailure.NotANumber(text, request.IsWatch);

    private byte[] ErrorEvent(Fault fault, long version) =>
        (fault.ErrorCode == 410 ? ApiFailure.TooOld(version, cluster.Version) : ApiFailure.Of(fault.ErrorCode, watch: true)).Event;
}
