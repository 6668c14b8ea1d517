using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Exporter.Kubernetes.Access;

namespace Exporter.Commands;

/// <summary>Asks an exporter over HTTP, directly and without any proxy.</summary>
/// <param name="tokenFile">The file with the bearer token, read for each request; null: none is sent.</param>
/// <param name="handler">Null: the network's.</param>
internal sealed class FlowsClient(string? tokenFile, HttpMessageHandler? handler = null) : IDisposable
{
    /// <summary>The limit until the headers of an answer have arrived.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly HttpClient _client = new(handler ?? new SocketsHttpHandler { UseProxy = false, AutomaticDecompression = DecompressionMethods.GZip }) { Timeout = Patience };

    public void Dispose() => _client.Dispose();

    /// <summary>Reads the address of an exporter.</summary>
    /// <exception cref="FormatException">It is not such an address.</exception>
    internal static Uri ParseUrl(string text) => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        ? url
        : throw new FormatException("is not an address like http://localhost:9969");

    /// <param name="notFound">The cause and remedy of an answer 404.</param>
    /// <returns>The answer, which is 200, and whose body has not been read.</returns>
    /// <exception cref="FlowsException">There is no such answer.</exception>
    internal async Task<HttpResponseMessage> GetAsync(Uri url, string mediaType, string notFound, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(mediaType));
        if (tokenFile is not null)
        {
            request.Headers.Authorization = new("Bearer", await ReadTokenAsync(tokenFile, cancellationToken));
        }
        HttpResponseMessage response;
        try
        {
            response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new FlowsException(Explain(url, e), e);
        }
        if (response.StatusCode == HttpStatusCode.OK)
        {
            return response;
        }
        using (response)
        {
            throw new FlowsException(response.StatusCode switch
            {
                HttpStatusCode.NotFound => $"{url} is not there: {notFound}",
                HttpStatusCode.Unauthorized when tokenFile is null => $"{url} wants a token: give the exporter's Server:BearerTokenFile with --token-file=FILE",
                HttpStatusCode.Unauthorized => $"{url} refuses the token in {tokenFile}: it has to be the one in the exporter's Server:BearerTokenFile",
                _ => $"{url} answers {(int)response.StatusCode} {response.ReasonPhrase}",
            });
        }
    }

    private static async Task<string> ReadTokenAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            var token = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
            return token.Length > 0 && !token.Any(char.IsWhiteSpace) ? token : throw new FlowsException($"{file} has no token: it has to have one word");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlowsException($"the token cannot be read: {e.Message}", e);
        }
    }

    private static string Explain(Uri url, Exception failure) => failure switch
    {
        HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } =>
            $"no program listens at {url.GetLeftPart(UriPartial.Authority)}: start the exporter, or give the address that it listens at",
        OperationCanceledException => $"{url} did not answer within {Patience.TotalSeconds:0} s",
        _ => $"{url} cannot be asked: {Failure.Describe(failure)}",
    };
}
