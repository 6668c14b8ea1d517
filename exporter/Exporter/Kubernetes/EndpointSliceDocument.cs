using System.Text.Json.Serialization;
using Exporter.Peers;

namespace Exporter.Kubernetes;

/// <summary>
/// An EndpointSlice as the API server shows it, with only the fields that the exporter uses
/// (https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/). Fields that are missing or null are empty. Whether an
/// endpoint is ready does not matter: connections outlive that.
/// </summary>
internal sealed record EndpointSliceDocument : KubernetesObject
{
    public IReadOnlyList<EndpointDocument?>? Endpoints { get; init; }

    public IReadOnlyList<ServicePort?>? Ports { get; init; }

    /// <summary>All EndpointSlices as a resource to watch.</summary>
    internal static Resource<EndpointSliceDocument> Resource { get; } = new(
        "endpointslices",
        "apis/discovery.k8s.io/v1/endpointslices",
        Node: null,
        "EndpointSliceList",
        EndpointSliceDocumentContext.Default.ResourcePageEndpointSliceDocument,
        EndpointSliceDocumentContext.Default.ObjectEventEndpointSliceDocument);

    /// <summary>The addresses of the slice's endpoints. Without the name of a Service, or with DNS names for addresses, it says nothing.</summary>
    internal PeerFacts Describe() => new(
        PeerRole.Endpoint,
        Metadata.Namespace,
        Metadata.Name,
        Metadata.Labels?.GetValueOrDefault(ServiceNameLabel.Name) ?? "",
        [.. AddressTexts.Parse((Endpoints ?? []).SelectMany(endpoint => endpoint?.Addresses ?? []))],
        [.. (Ports ?? []).Select(port => port?.Number).OfType<uint>()]);
}

internal sealed record EndpointDocument
{
    public IReadOnlyList<string?>? Addresses { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, Converters = [typeof(ServiceNameLabel)])]
[JsonSerializable(typeof(ResourcePage<EndpointSliceDocument>))]
[JsonSerializable(typeof(ObjectEvent<EndpointSliceDocument>))]
internal sealed partial class EndpointSliceDocumentContext : JsonSerializerContext;
