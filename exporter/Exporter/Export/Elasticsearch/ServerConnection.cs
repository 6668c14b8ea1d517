using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Exporter.Export.Elasticsearch;

/// <summary>Asks the servers of one cluster over HTTP, directly: the one that answered last, and the others in turn when it does not. One request at a time.</summary>
internal sealed class ServerConnection : IDisposable
{
    /// <summary>A server waits a minute for a shard before it answers.</summary>
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(100);

    private const int MaxAnswer = 32 << 20;

    private static readonly MediaTypeHeaderValue Lines = new("application/x-ndjson");
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly ElasticsearchOptions _options;
    private readonly ServerCredentials _credentials;
    private readonly HttpClient _client;
    private readonly TimeProvider _time;
    private byte[] _answer = new byte[64 << 10];

    /// <summary>The place of the server that is asked first. Exporters begin with different ones.</summary>
    private int _server;

    internal ServerConnection(ElasticsearchOptions options, TimeProvider time, ILogger logger)
    {
        (_options, _time, _credentials) = (options, time, new(options, time, logger));
        _server = Random.Shared.Next(options.Urls.Count);
        var trust = new ServerTrust(options.CaFile);
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            // Names may get other addresses, and certificates other authorities.
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        };
        if (options.CaFile.Length > 0)
        {
            // SslStream builds a chain before the callback, which then ignores it: nothing has to be downloaded for that chain.
            handler.SslOptions.CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        }
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, chain, problems) => trust.Verify(certificate as X509Certificate2, chain, problems);
        _client = new(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _client.DefaultRequestHeaders.UserAgent.ParseAdd("podnet-exporter");
    }

    /// <summary>Whether requests have credentials.</summary>
    internal bool HasCredentials => _credentials.Keys.Length > 0;

    public void Dispose() => _client.Dispose();

    /// <summary>Sends JSON, or nothing.</summary>
    /// <param name="path">Behind the address of the server, without a slash at its beginning.</param>
    /// <returns>An answer that is whole JSON if its status is of success, but for HEAD; else one that begins as JSON, or has no body.</returns>
    /// <exception cref="SinkException">No server answers, or one refuses the request for a reason that is not the request's.</exception>
    internal ValueTask<ServerAnswer> AskAsync(HttpMethod method, string path, ReadOnlyMemory<byte> json, CancellationToken cancellationToken) =>
        SendAsync(method, path, json, isBulk: false, cancellationToken);

    /// <summary>Sends a bulk of compressed lines.</summary>
    /// <returns>An answer that is JSON, or one of status 413 or 429.</returns>
    /// <exception cref="SinkException">As of <see cref="AskAsync"/>.</exception>
    internal async ValueTask<ServerAnswer> SendBulkAsync(ReadOnlyMemory<byte> zipped, CancellationToken cancellationToken)
    {
        var answer = await SendAsync(HttpMethod.Post, $"_bulk?{BulkAnswer.Filter}", zipped, isBulk: true, cancellationToken);
        return answer.Status != HttpStatusCode.Forbidden
            ? answer
            : throw new SinkException($"{answer.From} forbids the request ({answer.Describe()}); grant its user the rights to write to {_options.Index}-* and to create these indices");
    }

    /// <summary>Asks one server after the other until one answers with a status below 500, and neither with a page nor with a refusal of every request.</summary>
    private async ValueTask<ServerAnswer> SendAsync(HttpMethod method, string path, ReadOnlyMemory<byte> body, bool isBulk, CancellationToken cancellationToken)
    {
        var problems = new List<string>();
        for (var tried = 0; tried < _options.Urls.Count; tried++)
        {
            var server = _options.Urls[(_server + tried) % _options.Urls.Count];
            using var limit = new CancellationTokenSource(Limit, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            try
            {
                var answer = await SendToAsync(server, method, path, body, isBulk, either.Token);
                if ((int)answer.Status < 500)
                {
                    _server = (_server + tried) % _options.Urls.Count;
                    return answer;
                }
                problems.Add($"{answer.From} answers {answer.Describe()}");
            }
            catch (SinkException e)
            {
                problems.Add(e.Message);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is HttpRequestException or IOException or OperationCanceledException)
            {
                problems.Add($"{NameOf(server)} {Explain(e)}");
            }
        }
        _server = (_server + 1) % _options.Urls.Count;
        throw new SinkException(string.Join("; ", problems.Distinct()));
    }

    private async ValueTask<ServerAnswer> SendToAsync(Uri server, HttpMethod method, string path, ReadOnlyMemory<byte> body, bool isBulk, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, new Uri(server, path));
        request.Headers.Authorization = _credentials.Read();
        if (body.Length > 0)
        {
            request.Content = new ReadOnlyMemoryContent(body);
            request.Content.Headers.ContentType = isBulk ? Lines : Json;
            if (isBulk)
            {
                request.Content.Headers.ContentEncoding.Add("gzip");
            }
        }
        using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        var name = NameOf(server);
        if ((int)response.StatusCode is >= 300 and < 400)
        {
            throw new SinkException($"{name} redirects to {response.Headers.Location?.OriginalString ?? "another address"}, which is not followed; set {ElasticsearchOptions.UrlsKey} to the address of the server itself");
        }
        var answer = new ServerAnswer(response.StatusCode, name, await ReadAsync(name, response, cancellationToken));
        return RefusalOf(answer, method, isBulk) is { } refusal ? throw new SinkException(refusal) : answer;
    }

    /// <summary>Reads the body into the memory of the last one.</summary>
    private async ValueTask<ReadOnlyMemory<byte>> ReadAsync(string name, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var length = 0;
        while (true)
        {
            if (length == _answer.Length)
            {
                Array.Resize(ref _answer, length < MaxAnswer ? 2 * length : throw new SinkException(FormattableString.Invariant($"{name} answers more than {MaxAnswer >> 20} MiB; is it an Elasticsearch or OpenSearch?")));
            }
            var read = await stream.ReadAsync(_answer.AsMemory(length), cancellationToken);
            if (read == 0)
            {
                return _answer.AsMemory(0, length);
            }
            length += read;
        }
    }

    /// <summary>The refusals that concern every request.</summary>
    /// <returns>The reason and the remedy; null: it is not refused so.</returns>
    private string? RefusalOf(in ServerAnswer answer, HttpMethod method, bool isBulk) => answer.Status switch
    {
        HttpStatusCode.Unauthorized when !HasCredentials =>
            $"{answer.From} wants credentials ({answer.Describe()}); set {ElasticsearchOptions.UserFileKey} and {ElasticsearchOptions.PasswordFileKey}, or {ElasticsearchOptions.ApiKeyFileKey}",
        HttpStatusCode.Unauthorized => $"{answer.From} refuses the credentials ({answer.Describe()}); correct the files of {_credentials.Keys}",
        HttpStatusCode.NotAcceptable or HttpStatusCode.UnsupportedMediaType =>
            $"{answer.From} does not take such requests ({answer.Describe()}); set {ElasticsearchOptions.UrlsKey} to an Elasticsearch or OpenSearch",
        // A bulk that is too large, and one too many, may be refused by a proxy as well as by the server.
        >= HttpStatusCode.InternalServerError or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.TooManyRequests => null,
        // The part of a bulk's answer that arrived is of use.
        _ when isBulk => answer.IsJson ? null : DescribePage(answer),
        _ when method == HttpMethod.Head || ((int)answer.Status < 300 ? answer.IsWholeJson : answer.IsJson || answer.Body.Length == 0) => null,
        _ => DescribePage(answer),
    };

    private static string DescribePage(in ServerAnswer answer)
    {
        var body = answer.Body.Length == 0 ? "an empty body" : answer.IsJson ? $"JSON that is cut off ('{answer.Preview()}')" : $"a text that is not JSON ('{answer.Preview()}')";
        return $"{answer.From} answers {(int)answer.Status} with {body}: a proxy may stand before it; set {ElasticsearchOptions.UrlsKey} to an Elasticsearch or OpenSearch";
    }

    private static string NameOf(Uri server) => server.GetLeftPart(UriPartial.Authority);

    private static string Explain(Exception failure)
    {
        for (var inner = failure; inner is not null; inner = inner.InnerException)
        {
            switch (inner)
            {
                case SinkException refusal:
                    return $"cannot be used: {refusal.Message}";
                case SocketException { SocketErrorCode: SocketError.ConnectionRefused }:
                    return "refuses connections: no program listens there; start the server";
                case SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData }:
                    return $"has a name that is not known ({inner.Message}); correct {ElasticsearchOptions.UrlsKey} or the DNS";
                case SocketException:
                    return $"cannot be reached: {inner.Message}";
                case HttpIOException or EndOfStreamException:
                    return "ended the connection in the middle of an answer";
                case OperationCanceledException when inner.InnerException is TimeoutException:
                    return "cannot be reached: it does not take the connection in time";
                case OperationCanceledException:
                    return FormattableString.Invariant($"has not answered within {Limit.TotalSeconds} s");
            }
        }
        return $"cannot be reached: {PlainWords.Reason(Bottom(failure))}";
    }

    private static Exception Bottom(Exception failure) => failure.InnerException is { } inner ? Bottom(inner) : failure;
}
