using System.Globalization;
using System.Text.Json;
using Exporter.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace Exporter.Tests.Kubernetes;

/// <summary>How a recorded answer ended.</summary>
internal enum TranscriptEnd
{
    Complete,

    /// <summary>It went on when the client left.</summary>
    LeftByClient,

    /// <summary>TCP FIN without an ending of TLS or HTTP.</summary>
    Cut,

    /// <summary>TCP RST.</summary>
    Reset,

    /// <summary>There was no connection, so there is no answer.</summary>
    NotConnected,
}

/// <summary>A recorded request and its answer; see Transcripts/README.md.</summary>
internal sealed class Transcript
{
    private static readonly string Root = Path.Combine(Repository.Root, "tests/Exporter.Tests/Kubernetes/Transcripts");

    // Kestrel frames what it sends by itself, or it is written as chunks.
    private static readonly string[] Framing = ["Transfer-Encoding", "Content-Length"];

    private readonly TimeSpan _headAt;
    private readonly TimeSpan _endAt;
    private readonly int? _lastChunkDeclared;

    private Transcript(string name)
    {
        Name = name;
        var directory = Path.Combine(Root, name);
        var request = File.ReadLines(Path.Combine(directory, "request.http")).First().Split(' ');
        Method = request[0];
        PathAndQuery = request[1];

        using var meta = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(directory, "meta.json")));
        End = meta.RootElement.GetProperty("end").GetString() switch
        {
            "last chunk" or "content-length" or "closed by the server" => TranscriptEnd.Complete,
            "closed by the client" => TranscriptEnd.LeftByClient,
            "eof without TLS close_notify" => TranscriptEnd.Cut,
            "connection reset" => TranscriptEnd.Reset,
            "connect failed" => TranscriptEnd.NotConnected,
            var end => throw new InvalidDataException($"{name} ended by {end}."),
        };
        if (End == TranscriptEnd.NotConnected)
        {
            return;
        }
        _headAt = Seconds(meta.RootElement, "head_t");
        _endAt = Seconds(meta.RootElement, "end_t");
        _lastChunkDeclared = meta.RootElement.TryGetProperty("truncated_chunk", out var truncated) ? truncated.GetProperty("declared").GetInt32() : null;

        var head = File.ReadAllText(Path.Combine(directory, "response.head")).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Status = int.Parse(head[0].Split(' ')[1], CultureInfo.InvariantCulture);
        Headers = [.. head.Skip(1).Select(line => line.Split(':', 2)).Select(parts => KeyValuePair.Create(parts[0], parts[1].Trim()))];
        Body = File.ReadAllBytes(Path.Combine(directory, "response.body"));
        var chunks = Path.Combine(directory, "chunks.jsonl");
        Chunks = File.Exists(chunks) ? [.. File.ReadLines(chunks).Select(ReadChunk)] : null;
    }

    /// <summary>The names of all that have an answer.</summary>
    internal static IEnumerable<string> Names =>
        Directory.EnumerateFiles(Root, "response.head", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, Path.GetDirectoryName(file)!))
            .Order(StringComparer.Ordinal);

    /// <summary>Its folder, like 03-watch-lifecycle/watch.</summary>
    internal string Name { get; }

    internal string Method { get; }

    internal string PathAndQuery { get; }

    internal int Status { get; }

    internal IReadOnlyList<KeyValuePair<string, string>> Headers { get; } = [];

    internal byte[] Body { get; } = [];

    /// <summary>When each chunk came, since the request was sent, and its length; null for a body that has a Content-Length.</summary>
    internal IReadOnlyList<(TimeSpan At, int Length)>? Chunks { get; }

    internal TranscriptEnd End { get; }

    /// <summary>The documents of a watch, the last one perhaps incomplete.</summary>
    internal IReadOnlyList<string> Lines => System.Text.Encoding.UTF8.GetString(Body).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    internal static Transcript Read(string name) => new(name);

    public override string ToString() => Name;

    /// <summary>It is the answer to a request of this kind: the same path, watch or not.</summary>
    internal bool Answers(ApiRequest request) =>
        request.Method == Method
        && request.Path == PathAndQuery.Split('?')[0]
        && request.IsWatch == (PathAndQuery.Contains("watch=1", StringComparison.Ordinal) || PathAndQuery.Contains("watch=true", StringComparison.Ordinal));

    /// <param name="pace">The clock by which everything is sent when it was recorded; null to send it at once.</param>
    internal async Task ReplayAsync(HttpContext context, TimeProvider? pace = null)
    {
        if (End == TranscriptEnd.NotConnected)
        {
            throw new InvalidOperationException($"{Name} has no answer.");
        }
        var begin = pace?.GetTimestamp() ?? 0;
        await WaitUntilAsync(_headAt);
        context.Response.StatusCode = Status;
        foreach (var (name, value) in Headers.Where(header => !Framing.Contains(header.Key, StringComparer.OrdinalIgnoreCase)))
        {
            context.Response.Headers.Append(name, value);
        }
        if (Chunks is null)
        {
            context.Response.ContentLength = Body.Length;
            await context.Response.BodyWriter.WriteAsync(Body, context.RequestAborted);
            return;
        }
        await context.StartChunkedAsync();
        var offset = 0;
        foreach (var (at, length) in Chunks)
        {
            await WaitUntilAsync(at);
            var data = Body.AsMemory(offset, length);
            offset += length;
            await context.WriteChunkAsync(data, offset == Body.Length ? _lastChunkDeclared ?? length : length);
        }
        await (End == TranscriptEnd.LeftByClient ? Task.CompletedTask : WaitUntilAsync(_endAt));
        await (End switch
        {
            TranscriptEnd.Complete => context.EndChunkedAsync(),
            TranscriptEnd.LeftByClient => context.StaySilentAsync(),
            _ => context.BreakAsync(reset: End == TranscriptEnd.Reset),
        });

        async Task WaitUntilAsync(TimeSpan at)
        {
            if (pace is not null && at - pace.GetElapsedTime(begin) is { Ticks: > 0 } wait)
            {
                await Task.Delay(wait, pace, context.RequestAborted);
            }
        }
    }

    private static TimeSpan Seconds(JsonElement json, string name) => TimeSpan.FromSeconds(json.GetProperty(name).GetDouble());

    private static (TimeSpan At, int Length) ReadChunk(string line)
    {
        using var json = JsonDocument.Parse(line);
        return (Seconds(json.RootElement, "t"), json.RootElement.GetProperty("len").GetInt32());
    }
}
