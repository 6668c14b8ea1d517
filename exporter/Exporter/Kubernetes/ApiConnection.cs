using System.Net.Security;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Options;
using k8s;
using k8s.Authentication;
using k8s.Exceptions;

namespace Exporter.Kubernetes;

/// <summary>
/// The way to the API server: its address, whom to trust, and how to be let in, as a ServiceAccount's files or a kubeconfig say. A token
/// is read anew from its file at least every minute, so that a rotated one is used in time.
/// </summary>
internal sealed class ApiConnection : IDisposable
{
    private readonly HttpClient _client;
    private readonly ServiceClientCredentials? _credentials;

    /// <summary>The kubeconfig's tls-server-name. TLS gets its name from the request's host, whatever the handler's options say.</summary>
    private readonly string? _serverName;

    /// <summary>The package's own client would do the same, and bring all of the API's documents with it: 20 MB.</summary>
    private ApiConnection(KubernetesClientConfiguration configuration)
    {
        Server = new(configuration.Host);
        _serverName = configuration.TlsServerName;
        _credentials = k8s.Kubernetes.CreateCredentials(configuration);
        // A watch lasts; whoever asks has a patience of its own. Proxies are as the environment says.
        _client = new(new SocketsHttpHandler { SslOptions = CreateTlsOptions(configuration) }) { Timeout = Timeout.InfiniteTimeSpan };
    }

    internal Uri Server { get; }

    /// <summary>Whether this is to be used where the options leave it open.</summary>
    internal static bool IsConfigured(KubernetesOptions options) => options.Kubeconfig.Length > 0 || KubernetesClientConfiguration.IsInCluster();

    /// <exception cref="KubeConfigException">With what is missing or wrong.</exception>
    internal static ApiConnection Open(KubernetesOptions options)
    {
        if (options.Kubeconfig.Length == 0)
        {
            return KubernetesClientConfiguration.IsInCluster()
                ? new(KubernetesClientConfiguration.InClusterConfig())
                : throw new KubeConfigException(
                    "Identity:Source is kubernetes, but this is no pod of a cluster: there is no KUBERNETES_SERVICE_HOST, or no token of a ServiceAccount. Set Kubernetes:Kubeconfig.");
        }
        try
        {
            return new(KubernetesClientConfiguration.BuildConfigFromConfigFile(options.Kubeconfig, options.Context.Length > 0 ? options.Context : null));
        }
        catch (Exception e)
        {
            // The package lets out whatever its parts throw, of what is no YAML even a cast that is not valid.
            throw new KubeConfigException($"Kubernetes:Kubeconfig: '{options.Kubeconfig}' cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Returns when the headers of the answer have come.</summary>
    internal async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (_credentials is not null)
        {
            try
            {
                await _credentials.ProcessHttpRequestAsync(request, cancellationToken);
            }
            catch (AggregateException e)
            {
                // The package waits for what it reads, instead of awaiting it.
                ExceptionDispatchInfo.Throw(e.GetBaseException());
            }
        }
        request.Headers.Host = _serverName;
        return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    public void Dispose() => _client.Dispose();

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
}
