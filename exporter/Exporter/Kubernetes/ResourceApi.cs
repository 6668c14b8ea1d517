using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Exporter.Kubernetes;

/// <summary>Lists and watches one resource.</summary>
/// <param name="send">Sends a request with credentials, and returns when the headers have arrived.</param>
internal sealed class ResourceApi<T>(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send, Uri server, Resource<T> resource)
    where T : KubernetesObject
{
    /// <summary>A version that every cached list is new enough for.</summary>
    internal const string AnyAge = "0";

    private const int PageSize = 500;

    /// <summary>The limit for one event; etcd's own limit for an object is 1.5 MiB by default.</summary>
    private const int MaxEventBytes = 8 << 20;

    private const int MaxErrorBytes = 4096;

    // The API server may be below a path of its own, as behind Rancher.
    private readonly string _path = $"{server.AbsolutePath.TrimEnd('/')}/{resource.Selection}";

    internal Uri Server => server;

    internal Resource<T> Resource => resource;

    /// <param name="continueToken">From the previous page; null for the first.</param>
    /// <param name="cachedSince">
    /// The version that a list from the API server's cache must not be older than, 0 for any age; null: it asks its storage
    /// (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
    /// </param>
    /// <param name="heard">Called whenever bytes have come.</param>
    /// <exception cref="ApiException">The API server refused the request.</exception>
    /// <exception cref="JsonException">The answer is not a list of the resource.</exception>
    internal async Task<ResourcePage<T>> ListAsync(string? continueToken, string? cachedSince, Action heard, CancellationToken cancellationToken)
    {
        // A continue token brings its own version. Many API servers do not answer from their cache where a limit comes with a version other than 0.
        var query = continueToken is not null ? $"limit={PageSize}&continue={Uri.EscapeDataString(continueToken)}"
            : cachedSince is null ? $"limit={PageSize}"
            : cachedSince == AnyAge ? $"limit={PageSize}&resourceVersion={AnyAge}"
            : $"resourceVersion={Uri.EscapeDataString(cachedSince)}";
        using var response = await GetAsync($"{_path}{query}", cancellationToken);
        heard();
        await using var body = new HeardStream(await response.Content.ReadAsStreamAsync(cancellationToken), heard);
        var page = await ApiJson.ReadAsync(body, resource.Page, $"a list of {resource.Name}", cancellationToken);
        return page?.Kind == resource.ListKind ? page : throw new JsonException($"its answer is not a list of {resource.Name}");
    }

    /// <summary>Reads events after a version, as they come. Ends when the API server ends the watch, as it does from time to time.</summary>
    /// <param name="timeout">The time after which the API server is asked to end the watch.</param>
    /// <param name="heard">Called whenever bytes have come.</param>
    /// <exception cref="ApiException">The API server refused the watch, at once or by an ERROR event.</exception>
    /// <exception cref="JsonException">A line is not an event.</exception>
    internal async IAsyncEnumerable<ResourceEvent<T>> WatchAsync(
        string resourceVersion, TimeSpan timeout, Action heard, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await GetAsync(
            FormattableString.Invariant($"{_path}watch=true&allowWatchBookmarks=true&timeoutSeconds={(int)timeout.TotalSeconds}&resourceVersion={Uri.EscapeDataString(resourceVersion)}"),
            cancellationToken);
        heard();
        // Events are lines. The reader hands out the bytes that have come so far, wherever chunks and characters were cut.
        var reader = PipeReader.Create(await response.Content.ReadAsStreamAsync(cancellationToken));
        try
        {
            while (true)
            {
                var read = await reader.ReadAsync(cancellationToken);
                var buffer = read.Buffer;
                if (!buffer.IsEmpty)
                {
                    heard();
                }
                while (ReadEvent(ref buffer) is { } change)
                {
                    yield return change;
                }
                if (buffer.Length > MaxEventBytes)
                {
                    throw new JsonException($"An event has more than {MaxEventBytes >> 20} MiB.");
                }
                if (read.IsCompleted)
                {
                    // An event that was cut is sent again from the version before it.
                    yield break;
                }
                reader.AdvanceTo(buffer.Start, buffer.End);
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    /// <summary>Takes the first whole line out of the buffer; null if the buffer has no whole line.</summary>
    private ResourceEvent<T>? ReadEvent(ref ReadOnlySequence<byte> buffer)
    {
        while (buffer.PositionOf((byte)'\n') is { } end)
        {
            var line = buffer.Slice(0, end);
            buffer = buffer.Slice(buffer.GetPosition(1, end));
            if (!line.IsEmpty)
            {
                return ResourceEvent<T>.Parse(line.IsSingleSegment ? line.FirstSpan : line.ToArray(), resource.Event);
            }
        }
        return null;
    }

    private async Task<HttpResponseMessage> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server, path));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        var response = await send(request, cancellationToken);
        if (response.StatusCode == HttpStatusCode.OK)
        {
            return response;
        }
        using (response)
        {
            var retryAfter = response.Headers.RetryAfter?.Delta;
            throw new ApiException((int)response.StatusCode, await ReadMessageAsync(response, cancellationToken), retryAfter);
        }
    }

    /// <summary>Reads the message of a Status document. Other answers, as of a proxy, are returned as text.</summary>
    private static async Task<string> ReadMessageAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var bytes = new byte[MaxErrorBytes];
        var text = bytes.AsMemory(0, await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken));
        try
        {
            if (JsonSerializer.Deserialize(text.Span, ResourceDocumentContext.Default.StatusDocument) is { Message.Length: > 0 } status)
            {
                return status.Message;
            }
        }
        catch (JsonException)
        {
            // The answer is not a document.
        }
        return System.Text.Encoding.UTF8.GetString(text.Span).Trim();
    }
}
