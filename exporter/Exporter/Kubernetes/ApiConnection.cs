using System.Net;
using Exporter.Health;
using Exporter.Kubernetes.Access;

namespace Exporter.Kubernetes;

/// <summary>
/// A connection to the API server that the options, a kubeconfig or a pod's ServiceAccount describe. The files are compared before each request:
/// tokens, certificates and authorities may be rotated. If changed files cannot be used, the previous content stays in use.
/// </summary>
internal sealed class ApiConnection : IDisposable
{
    private const string KubeconfigVariable = "KUBECONFIG";

    private readonly KubernetesOptions _options;
    private readonly AccessEnvironment _environment;
    private readonly TimeProvider _time;
    private FileWatch _files;
    private ApiAccess _access;
    private string? _problem;
    private ExecPlugin? _plugin;
    private ClientCertificate? _certificate;
    private HttpClient? _client;

    /// <param name="environment">Null: this process's.</param>
    /// <exception cref="AccessException">A setting or a file is missing or wrong. The message says how to correct it.</exception>
    internal ApiConnection(KubernetesOptions options, AccessEnvironment? environment = null, TimeProvider? time = null)
    {
        (_options, _environment, _time) = (options, environment ?? AccessEnvironment.OfProcess, time ?? TimeProvider.System);
        _files = new();
        _access = Read(_files);
        Server = _access.Server;
    }

    /// <summary>The API server's address at the start. Callers make requests for it, also after the address has changed.</summary>
    internal Uri Server { get; }

    /// <summary>Whether the API server is used where Identity:Source is auto.</summary>
    internal static bool IsConfigured(KubernetesOptions options) => options.Kubeconfig.Length > 0 || ServiceAccount.IsPresent(AccessEnvironment.OfProcess);

    /// <summary>Gets the credentials for a request ahead of it: a plugin may take long. Not for concurrent use.</summary>
    /// <exception cref="ApiUnreachableException">The plugin failed, or takes too long.</exception>
    internal async Task AuthenticateAsync(CancellationToken cancellationToken)
    {
        Refresh();
        await GetCredentialAsync(cancellationToken);
    }

    /// <summary>Returns when the headers of the answer have come. Not for concurrent use.</summary>
    /// <exception cref="ApiUnreachableException">No answer came. The message has the reason.</exception>
    internal async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Refresh();
        var credential = await GetCredentialAsync(cancellationToken);
        var client = GetClient(credential?.Certificate ?? _access.Certificate);
        Prepare(request, credential?.Token);
        try
        {
            var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.StatusCode == HttpStatusCode.Unauthorized && credential is not null)
            {
                _plugin?.Refuse(credential);
            }
            return response;
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new ApiUnreachableException($"{Failure.Describe(e)}{_problem}", e);
        }
    }

    public void Dispose()
    {
        _plugin?.Dispose();
        _client?.Dispose();
    }

    private ApiAccess Read(FileWatch files)
    {
        var origin = _options.Kubeconfig.Length > 0 ? "Kubernetes:Kubeconfig" : KubeconfigVariable;
        string[] paths = _options.Kubeconfig.Length > 0
            ? [_options.Kubeconfig]
            : _environment[KubeconfigVariable].Split(':', StringSplitOptions.RemoveEmptyEntries);
        try
        {
            var kubeconfig = Kubeconfig.Read(paths, mayBeMissing: _options.Kubeconfig.Length == 0, files);
            if (!kubeconfig.IsEmpty)
            {
                return kubeconfig.Select(_options.Context);
            }
            if (_options.Kubeconfig.Length > 0)
            {
                throw new AccessException($"'{_options.Kubeconfig}' cannot be used: it is empty");
            }
            origin = "The ServiceAccount of this pod";
            return ServiceAccount.IsPresent(_environment)
                ? ServiceAccount.Read(_environment, files)
                : throw new AccessException(
                    "Identity:Source is kubernetes, but this is not a pod of a cluster: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT or the token in " +
                    $"'{_environment.ServiceAccountDirectory}' is missing. Set Kubernetes:Kubeconfig.");
        }
        catch (AccessException e)
        {
            throw new AccessException($"{origin}: {e.Message}", e);
        }
    }

    /// <summary>Reads the files again if they have changed. If they cannot be used, the previous access stays, and later errors have the reason.</summary>
    private void Refresh()
    {
        if (!_files.HaveChanged())
        {
            return;
        }
        var files = new FileWatch();
        try
        {
            var access = Read(files);
            if (_access.Exec != access.Exec)
            {
                _plugin?.Dispose();
                _plugin = null;
            }
            // The previous client is not disposed: one of its answers may still be read.
            (_files, _access, _problem, _client) = (files, access, null, null);
        }
        catch (AccessException e)
        {
            _problem = $" (the configuration has changed and cannot be used, the previous one stays in use: {e.Message})";
        }
    }

    private async Task<ExecCredential?> GetCredentialAsync(CancellationToken cancellationToken)
    {
        if (_access.Exec is null)
        {
            return null;
        }
        _plugin ??= new(_access.Exec, _time);
        return await _plugin.GetAsync(cancellationToken);
    }

    private HttpClient GetClient(ClientCertificate? certificate)
    {
        if (_client is null || _certificate != certificate)
        {
            (_client, _certificate) = (CreateClient(certificate), certificate);
        }
        return _client;
    }

    private HttpClient CreateClient(ClientCertificate? certificate)
    {
        var dialer = new ApiDialer(_access, certificate, _environment);
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            AutomaticDecompression = _access.DisablesCompression ? DecompressionMethods.None : DecompressionMethods.GZip,
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectCallback = _access.Impersonation.Count == 0
                ? (_, cancellationToken) => dialer.ConnectAsync(cancellationToken)
                : async (_, cancellationToken) => new HeaderLines(await dialer.ConnectAsync(cancellationToken)),
        };
        // A watch lasts for minutes; callers have limits of their own.
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Adds the address and the credentials. The scheme is http, since the dialer does TLS itself.</summary>
    private void Prepare(HttpRequestMessage request, string? token)
    {
        var path = request.RequestUri!.PathAndQuery;
        if (_access.Server != Server)
        {
            path = _access.Server.AbsolutePath.TrimEnd('/') + path[Server.AbsolutePath.TrimEnd('/').Length..];
        }
        request.RequestUri = new Uri(new UriBuilder("http", _access.Server.IdnHost, _access.Server.Port).Uri, path);
        request.Headers.Host = _access.Host;
        request.Headers.TryAddWithoutValidation("User-Agent", UserAgent.Text);
        var authorization = _access.Authorization.Length > 0 ? _access.Authorization : token is { Length: > 0 } ? $"Bearer {token}" : "";
        if (authorization.Length > 0)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }
        foreach (var values in _access.Impersonation.GroupBy(header => header.Name, header => header.Value))
        {
            request.Headers.TryAddWithoutValidation(values.Key, HeaderLines.Join(values.Key, values));
        }
    }
}
