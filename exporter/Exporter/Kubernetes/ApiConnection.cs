using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Options;
using k8s;
using k8s.Authentication;
using k8s.Exceptions;

namespace Exporter.Kubernetes;

/// <summary>
/// The way to the API server: its address, whom to trust, and how to be let in, as a ServiceAccount's files or a kubeconfig say. Files are
/// read anew when the API server does not know the token any more, or is not trusted any more: they may have been rotated.
/// </summary>
internal sealed class ApiConnection : IDisposable
{
    private readonly KubernetesOptions _options;
    private KubernetesClientConfiguration _configuration;
    private ServiceClientCredentials? _credentials;
    private HttpClient _client;

    /// <exception cref="KubeConfigException">With what is missing or wrong.</exception>
    internal ApiConnection(KubernetesOptions options)
    {
        _options = options;
        (_configuration, _credentials, _client) = Create(options);
    }

    internal Uri Server => new(_configuration.Host);

    /// <summary>Whether this is to be used where the options leave it open.</summary>
    internal static bool IsConfigured(KubernetesOptions options) => options.Kubeconfig.Length > 0 || KubernetesClientConfiguration.IsInCluster();

    /// <summary>Returns when the headers of the answer have come. Used by one at a time.</summary>
    internal async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (_credentials is not null)
        {
            await _credentials.ProcessHttpRequestAsync(request, cancellationToken);
        }
        if (!string.IsNullOrEmpty(_configuration.TlsServerName))
        {
            // The handler takes the name that the certificate must have from here.
            request.Headers.Host = _configuration.TlsServerName;
        }
        try
        {
            var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.StatusCode == HttpStatusCode.Unauthorized)
            {
                Renew();
            }
            return response;
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.SecureConnectionError)
        {
            Renew();
            throw;
        }
    }

    public void Dispose() => _client.Dispose();

    /// <summary>The package's own client does the same, and brings the documents of the whole API with it: 16 MB of a binary.</summary>
    private static (KubernetesClientConfiguration, ServiceClientCredentials?, HttpClient) Create(KubernetesOptions options)
    {
        var isInCluster = options.Kubeconfig.Length == 0;
        if (isInCluster && !KubernetesClientConfiguration.IsInCluster())
        {
            throw new KubeConfigException(
                "Identity:Source is kubernetes, but this is no pod of a cluster: there is no KUBERNETES_SERVICE_HOST, or no token of a ServiceAccount. Set Kubernetes:Kubeconfig.");
        }
        try
        {
            var configuration = isInCluster
                ? KubernetesClientConfiguration.InClusterConfig()
                : KubernetesClientConfiguration.BuildConfigFromConfigFile(options.Kubeconfig, options.Context.Length > 0 ? options.Context : null);
            // A watch lasts; whoever asks has a patience of its own. Proxies are as the environment says.
            var client = new HttpClient(new SocketsHttpHandler { SslOptions = CreateTlsOptions(configuration) }) { Timeout = Timeout.InfiniteTimeSpan };
            return (configuration, k8s.Kubernetes.CreateCredentials(configuration), client);
        }
        catch (Exception e)
        {
            // The package lets out whatever its parts throw: of an empty file a null reference, of what is no YAML mapping a cast.
            var reason = e is NullReferenceException or InvalidCastException ? "it is no kubeconfig" : e.Message;
            throw new KubeConfigException(
                isInCluster ? $"The ServiceAccount's files cannot be used: {reason}" : $"Kubernetes:Kubeconfig: '{options.Kubeconfig}' cannot be used: {reason}", e);
        }
    }

    private static SslClientAuthenticationOptions CreateTlsOptions(KubernetesClientConfiguration configuration)
    {
        var options = new SslClientAuthenticationOptions();
        if (ReadPem(configuration.ClientCertificateData, configuration.ClientCertificateFilePath) is { } certificate
            && ReadPem(configuration.ClientCertificateKeyData, configuration.ClientKeyFilePath) is { } key)
        {
            options.ClientCertificates = [X509Certificate2.CreateFromPem(certificate, key)];
        }
        if (configuration.SkipTlsVerify)
        {
#pragma warning disable CA5359 // The kubeconfig says insecure-skip-tls-verify.
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        else if (configuration.SslCaCerts is { Count: > 0 } authorities)
        {
            options.CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }
        return options;
    }

    /// <param name="data">In base64.</param>
    private static string? ReadPem(string? data, string? path) =>
        !string.IsNullOrEmpty(data) ? Encoding.UTF8.GetString(Convert.FromBase64String(data)) : !string.IsNullOrEmpty(path) ? File.ReadAllText(path) : null;

    private void Renew()
    {
        try
        {
            // The former client goes with its last answer, which may still be read.
            (_configuration, _credentials, _client) = Create(_options);
        }
        catch (KubeConfigException)
        {
            // They are being written: what there is stays, and is refused and renewed again.
        }
    }
}
