using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Options;
using k8s;
using k8s.Authentication;
using k8s.Exceptions;
using YamlDotNet.Core;

namespace Exporter.Kubernetes;

/// <summary>
/// The way to the API server: its address, whom to trust, and how to be let in, as a ServiceAccount's files or a kubeconfig say. A token
/// is read anew from its file at least every minute, so that a rotated one is used in time.
/// </summary>
internal sealed class ApiConnection : IDisposable
{
    private readonly HttpClient _client;
    private readonly ServiceClientCredentials? _credentials;

    /// <summary>The package's own client would do the same, and bring all of the API's documents with it: 20 MB.</summary>
    private ApiConnection(KubernetesClientConfiguration configuration)
    {
        Server = new(configuration.Host);
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
        catch (Exception e) when (e is KubeConfigException or IOException or UnauthorizedAccessException or FormatException or YamlException or CryptographicException)
        {
            throw new KubeConfigException($"Kubernetes:Kubeconfig: '{options.Kubeconfig}' cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Returns when the headers of the answer have come.</summary>
    internal async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (_credentials is not null)
        {
            await _credentials.ProcessHttpRequestAsync(request, cancellationToken);
        }
        return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    public void Dispose() => _client.Dispose();

    private static SslClientAuthenticationOptions CreateTlsOptions(KubernetesClientConfiguration configuration)
    {
        var options = new SslClientAuthenticationOptions { TargetHost = configuration.TlsServerName };
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
