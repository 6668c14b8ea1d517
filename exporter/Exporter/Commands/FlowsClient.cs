using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Exporter.Kubernetes.Access;

namespace Exporter.Commands;

/// <summary>Asks an exporter over HTTP, directly and without any proxy.</summary>
internal sealed class FlowsClient : IDisposable
{
    /// <summary>The limit until the headers of an answer have arrived, and of each silence in its body.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly FlowsAccess _access;
    private readonly FlowsArguments _arguments;
    private readonly HttpClient _client;
    private readonly TimeProvider _time;

    /// <param name="arguments">They have the files with credentials, which are read for each request.</param>
    /// <param name="handler">Null: the network's.</param>
    /// <param name="time">Of silences; null: the machine's.</param>
    /// <exception cref="FlowsException">The file of authorities cannot be used.</exception>
    internal FlowsClient(FlowsAccess access, FlowsArguments arguments, HttpMessageHandler? handler = null, TimeProvider? time = null)
    {
        (_access, _arguments, _time) = (access, arguments, time ?? TimeProvider.System);
        _client = new(handler ?? CreateHandler(access.ReadAuthorities(arguments))) { Timeout = Patience };
    }

    public void Dispose() => _client.Dispose();

    /// <summary>The address of a page of an exporter, which may be behind a path of a proxy. An address of the page itself is left as it is.</summary>
    internal static Uri PageOf(Uri exporter, string page)
    {
        var path = exporter.AbsolutePath.TrimEnd('/');
        return path.EndsWith(page, StringComparison.Ordinal) ? exporter : new UriBuilder(exporter) { Path = path + page }.Uri;
    }

    /// <param name="notFound">The cause and remedy of an answer 404.</param>
    /// <returns>The body of the answer, which is 200. Its reads throw a <see cref="FlowsException"/> as well.</returns>
    /// <exception cref="FlowsException">There is no such answer.</exception>
    internal async Task<Stream> GetAsync(Uri url, string mediaType, string notFound, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(mediaType));
        request.Headers.Authorization = _access.ReadCredentials(_arguments);
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
            return new FlowsAnswer(response, await response.Content.ReadAsStreamAsync(cancellationToken), url, Patience, _time);
        }
        using (response)
        {
            throw new FlowsException(response.StatusCode switch
            {
                HttpStatusCode.NotFound => $"{url} is not there: {notFound}",
                HttpStatusCode.Unauthorized => $"{url} {_access.ExplainRefusal(_arguments, response)}",
                _ => $"{url} answers {(int)response.StatusCode} {response.ReasonPhrase}",
            });
        }
    }

    private static SocketsHttpHandler CreateHandler(X509Certificate2Collection? authorities)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, AutomaticDecompression = DecompressionMethods.GZip };
        if (authorities is not null)
        {
            var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            trust.CustomTrustStore.AddRange(authorities);
            handler.SslOptions.CertificateChainPolicy = trust;
        }
        return handler;
    }

    private string Explain(Uri url, Exception failure) => failure switch
    {
        HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } =>
            $"no program listens at {url.GetLeftPart(UriPartial.Authority)}: start the exporter, or give the address that it listens at",
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } when !_arguments.Has(_access.CaFile) =>
            $"{url} cannot be asked: {Failure.Describe(failure)}; if the machine does not have the authority of its certificate, give it with {_access.CaFile.Name}=FILE",
        OperationCanceledException => $"{url} did not answer within {Patience.TotalSeconds:0} s",
        _ => $"{url} cannot be asked: {Failure.Describe(failure)}",
    };
}
