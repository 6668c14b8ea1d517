using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Serialization;
using Exporter.Kubernetes.Access;

namespace Exporter.Kubernetes;

/// <summary>The state of the DaemonSet that a pod belongs to.</summary>
internal enum DaemonSetState
{
    /// <summary>It exists: its pods end for another reason, such as a rolling update, a drain or an eviction.</summary>
    Present,

    /// <summary>404: it was deleted.</summary>
    Deleted,

    /// <summary>Another DaemonSet has its name: it was deleted, and another one was created since.</summary>
    Replaced,

    /// <summary>It has a deletionTimestamp, and exists until its pods have ended.</summary>
    Deleting,

    /// <summary>The API server gave no answer that decides.</summary>
    Unknown,
}

/// <summary>Asks the API server for one DaemonSet, when the process is to end.</summary>
/// <param name="send">Sends a request with credentials, and returns when the headers of the answer have arrived.</param>
internal sealed class DaemonSetApi(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send, Uri server)
{
    private const int MaxBytes = 1 << 20;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);

    /// <summary>Asks until an answer decides, or no time is left. A refusal ends it too: other credentials do not come in time.</summary>
    /// <param name="patience">Cancelled when no time is left.</param>
    /// <returns>The state, and the reason if it is unknown.</returns>
    internal async Task<(DaemonSetState State, string Reason)> FindAsync(DaemonSetReference daemonSet, CancellationToken patience)
    {
        var reason = "it does not answer";
        var pause = FirstRetry;
        while (!patience.IsCancellationRequested)
        {
            try
            {
                using var response = await GetAsync(daemonSet, patience);
                if (await ReadAsync(response, daemonSet, patience) is { } state)
                {
                    return (state, "");
                }
                reason = $"it answers {(int)response.StatusCode}";
                if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                {
                    break;
                }
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (Exception e)
            {
                // Errors of the network, of TLS or of files with credentials: while there is time, the request is repeated.
                reason = Failure.Describe(e);
            }
            // All nodes of a cluster may ask in the same seconds.
            await Task.Delay(pause * (0.5 + Random.Shared.NextDouble()), patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause *= 2;
        }
        return (DaemonSetState.Unknown, reason);
    }

    private async Task<HttpResponseMessage> GetAsync(DaemonSetReference daemonSet, CancellationToken patience)
    {
        var path = $"{server.AbsolutePath.TrimEnd('/')}/apis/apps/v1/namespaces/{Uri.EscapeDataString(daemonSet.Namespace)}/daemonsets/{Uri.EscapeDataString(daemonSet.Name)}";
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server, path));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        return await send(request, patience);
    }

    /// <returns>The state; null if the answer does not decide.</returns>
    private static async Task<DaemonSetState?> ReadAsync(HttpResponseMessage response, DaemonSetReference daemonSet, CancellationToken patience)
    {
        if (response.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.NotFound))
        {
            return null;
        }
        await response.Content.LoadIntoBufferAsync(MaxBytes, patience);
        await using var body = await response.Content.ReadAsStreamAsync(patience);
        var document = await ApiJson.ReadAsync(body, DaemonSetContext.Default.DaemonSetDocument, "a DaemonSet", patience);
        return document switch
        {
            // A 404 of a proxy, or for a path that the server does not know, must not remove anything.
            { Kind: "Status", Reason: "NotFound", Details: { Kind: "daemonsets", Name: var name } } when response.StatusCode == HttpStatusCode.NotFound && name == daemonSet.Name =>
                DaemonSetState.Deleted,
            { Kind: "DaemonSet", Metadata: { Uid: { Length: > 0 } uid } } when response.StatusCode == HttpStatusCode.OK && uid != daemonSet.Uid => DaemonSetState.Replaced,
            // With --cascade=orphan it exists until its pods have no owner; the pods stay.
            { Kind: "DaemonSet", Metadata: { DeletionTimestamp: not null } metadata } when response.StatusCode == HttpStatusCode.OK =>
                metadata.Finalizers?.Contains("orphan") == true ? DaemonSetState.Present : DaemonSetState.Deleting,
            { Kind: "DaemonSet", Metadata.Uid.Length: > 0 } when response.StatusCode == HttpStatusCode.OK => DaemonSetState.Present,
            _ => null,
        };
    }
}

/// <summary>A DaemonSet, or the Status that an error has instead.</summary>
internal sealed record DaemonSetDocument
{
    public string? Kind { get; init; }

    public string? Reason { get; init; }

    public StatusDetails? Details { get; init; }

    public DaemonSetMetadata? Metadata { get; init; }
}

internal sealed record StatusDetails
{
    public string? Kind { get; init; }

    public string? Name { get; init; }
}

internal sealed record DaemonSetMetadata
{
    public string? Uid { get; init; }

    public DateTimeOffset? DeletionTimestamp { get; init; }

    public IReadOnlyList<string>? Finalizers { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DaemonSetDocument))]
internal sealed partial class DaemonSetContext : JsonSerializerContext;
