using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Exporter.Kubernetes;

/// <summary>The API server said no.</summary>
/// <param name="code">An HTTP status, of the answer or of an ERROR event.</param>
/// <param name="retryAfter">How long it asks to be left alone; null where it does not.</param>
internal sealed class ApiException(int code, string message, TimeSpan? retryAfter = null) : Exception($"The API server answers {code}: {message}")
{
    internal int Code => code;

    internal TimeSpan? RetryAfter => retryAfter;
}

/// <summary>The only two requests that are made: a list, and a watch, of the pods of one node.</summary>
/// <param name="send">Sends a request with what it takes to be let in, and returns when the headers are there.</param>
internal sealed class PodApi(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send, Uri server, string node)
{
    private const int PageSize = 500;

    /// <summary>Of one event; etcd's own limit of an object is 1.5 MiB by default.</summary>
    private const int MaxEventBytes = 8 << 20;

    private const int MaxErrorBytes = 4096;

    // The API server may be below a path of its own, as behind Rancher.
    private readonly string _path = $"{server.AbsolutePath.TrimEnd('/')}/api/v1/pods?fieldSelector=spec.nodeName%3D{Uri.EscapeDataString(node)}";

    internal Uri Server => server;

    internal string Node => node;

    /// <param name="continueToken">From the page before; null for the first.</param>
    /// <param name="fromCache">
    /// Whether the API server may answer from its cache, which may be old, instead of asking its storage
    /// (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
    /// </param>
    /// <exception cref="ApiException">The API server said no.</exception>
    /// <exception cref="JsonException">The answer is no list of pods.</exception>
    internal async Task<PodPage> ListAsync(string? continueToken, bool fromCache, CancellationToken cancellationToken)
    {
        // A continue token brings its own version.
        var next = continueToken is not null ? $"&continue={Uri.EscapeDataString(continueToken)}" : fromCache ? "&resourceVersion=0" : "";
        using var response = await GetAsync($"{_path}&limit={PageSize}{next}", cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var page = await ApiJson.ReadAsync(body, PodDocumentContext.Default.PodPage, "a list of pods", cancellationToken);
        return page is { Kind: PodPage.ListOfPods } ? page : throw new JsonException("its answer is not a list of pods");
    }

    /// <summary>Events after a version, as they come; ends when the API server ends it, as it does from time to time.</summary>
    /// <param name="timeout">After which the API server is asked to end it.</param>
    /// <param name="heard">Called whenever bytes have come.</param>
    /// <exception cref="ApiException">The API server said no, at once or by an ERROR event.</exception>
    /// <exception cref="JsonException">What came is no event.</exception>
    internal async IAsyncEnumerable<PodEvent> WatchAsync(
        string resourceVersion, TimeSpan timeout, Action heard, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await GetAsync(
            FormattableString.Invariant($"{_path}&watch=true&allowWatchBookmarks=true&timeoutSeconds={(int)timeout.TotalSeconds}&resourceVersion={Uri.EscapeDataString(resourceVersion)}"),
            cancellationToken);
        heard();
        // Events are lines. The reader hands out what has come so far, wherever chunks and characters were cut.
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
                    yield return change.Error is { } error ? throw new ApiException(error.Code, error.Message) : change;
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

    /// <summary>Takes the first whole line out of the buffer; null where there is none.</summary>
    private static PodEvent? ReadEvent(ref ReadOnlySequence<byte> buffer)
    {
        while (buffer.PositionOf((byte)'\n') is { } end)
        {
            var line = buffer.Slice(0, end);
            buffer = buffer.Slice(buffer.GetPosition(1, end));
            if (!line.IsEmpty)
            {
                return PodEvent.Parse(line.IsSingleSegment ? line.FirstSpan : line.ToArray());
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

    /// <summary>A Status document's message, or else the text: some of its answers are not documents.</summary>
    private static async Task<string> ReadMessageAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var bytes = new byte[MaxErrorBytes];
        var text = bytes.AsMemory(0, await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken));
        try
        {
            if (JsonSerializer.Deserialize(text.Span, PodDocumentContext.Default.StatusDocument) is { Message.Length: > 0 } status)
            {
                return status.Message;
            }
        }
        catch (JsonException)
        {
            // Then it is no document.
        }
        return System.Text.Encoding.UTF8.GetString(text.Span).Trim();
    }
}
