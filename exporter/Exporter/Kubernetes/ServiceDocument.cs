using System.Text.Json.Serialization;
using Exporter.Peers;

namespace Exporter.Kubernetes;

/// <summary>
/// A Service as the API server shows it, with only the fields that the exporter uses
/// (https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/). Fields that are missing or null are empty.
/// </summary>
internal sealed record ServiceDocument : KubernetesObject
{
    /// <summary>The address of a headless Service.</summary>
    private const string None = "None";

    public ServiceSpec Spec { get => field; init => field = value ?? new(); } = new();

    public ServiceStatus Status { get => field; init => field = value ?? new(); } = new();

    /// <summary>All Services as a resource to watch.</summary>
    internal static Resource<ServiceDocument> Resource { get; } = new(
        "services", "api/v1/services", Node: null, "ServiceList", ServiceDocumentContext.Default.ResourcePageServiceDocument, ServiceDocumentContext.Default.ObjectEventServiceDocument);

    /// <summary>
    /// The addresses at which the Service itself is reached. A headless Service has none, and neither has one that is a DNS name alone: kube-proxy
    /// serves no address of theirs (ShouldSkipService in pkg/proxy/util/utils.go).
    /// </summary>
    internal PeerFacts Describe()
    {
        IReadOnlyList<string?> clusterIPs = Spec.ClusterIPs is { Count: > 0 } all ? all : [Spec.ClusterIP];
        var isServed = clusterIPs.Any(address => !string.IsNullOrEmpty(address)) && !clusterIPs.Contains(None);
        return new(
            PeerRole.Vip,
            Metadata.Namespace,
            Metadata.Name,
            Metadata.Name,
            isServed ? [.. AddressTexts.Parse([.. clusterIPs, .. Spec.ExternalIPs ?? [], .. (Status.LoadBalancer?.Ingress ?? []).Select(ingress => ingress?.Ip)])] : [],
            [.. (Spec.Ports ?? []).Select(port => port?.Number).OfType<uint>()]);
    }
}

internal sealed record ServiceSpec
{
    public string? ClusterIP { get; init; }

    /// <summary>All, the first the same as <see cref="ClusterIP"/>; since Kubernetes 1.20.</summary>
    public IReadOnlyList<string?>? ClusterIPs { get; init; }

    public IReadOnlyList<string?>? ExternalIPs { get; init; }

    public IReadOnlyList<ServicePort?>? Ports { get; init; }
}

/// <summary>A port of a Service or of an EndpointSlice.</summary>
internal sealed record ServicePort
{
    /// <summary>In an EndpointSlice null means all ports.</summary>
    public int? Port { get; init; }

    public string? Protocol { get; init; }

    /// <summary>As <see cref="PeerSource.Port"/>; null where there is no such port or protocol.</summary>
    internal uint? Number => (Port ?? 0) is >= 0 and <= ushort.MaxValue and var port && FindProtocol() is { } protocol ? PeerSource.Port((ushort)port, protocol) : null;

    /// <summary>IANA's number.</summary>
    private byte? FindProtocol() => Protocol switch
    {
        null or "" or "TCP" => 6,
        "UDP" => 17,
        "SCTP" => 132,
        _ => null,
    };
}

internal sealed record ServiceStatus
{
    public LoadBalancerStatus? LoadBalancer { get; init; }
}

internal sealed record LoadBalancerStatus
{
    public IReadOnlyList<LoadBalancerIngress?>? Ingress { get; init; }
}

internal sealed record LoadBalancerIngress
{
    public string? Ip { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, Converters = [typeof(ServiceNameLabel)])]
[JsonSerializable(typeof(ResourcePage<ServiceDocument>))]
[JsonSerializable(typeof(ObjectEvent<ServiceDocument>))]
internal sealed partial class ServiceDocumentContext : JsonSerializerContext;
