using System.Text.Json.Serialization;
using Exporter.Peers;

namespace Exporter.Kubernetes;

/// <summary>
/// A node as the API server shows it, with only its name and addresses of 20 KB and more
/// (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/). Fields that are missing or null are empty.
/// </summary>
internal sealed record NodeDocument : KubernetesObject
{
    public NodeStatus Status { get => field; init => field = value ?? new(); } = new();

    /// <summary>All nodes as a resource to watch.</summary>
    internal static Resource<NodeDocument> Resource { get; } = new(
        "nodes", "api/v1/nodes", Node: null, "NodeList", NodeDocumentContext.Default.ResourcePageNodeDocument, NodeDocumentContext.Default.ObjectEventNodeDocument);

    internal PeerFacts Describe() => new(
        PeerRole.Node,
        "",
        Metadata.Name,
        Metadata.Name,
        [.. AddressTexts.Parse((Status.Addresses ?? []).Where(address => address?.Type is "InternalIP" or "ExternalIP").Select(address => address!.Address))],
        []);
}

internal sealed record NodeStatus
{
    public IReadOnlyList<NodeAddress?>? Addresses { get; init; }
}

internal sealed record NodeAddress
{
    public string? Type { get; init; }

    public string? Address { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, Converters = [typeof(ServiceNameLabel)])]
[JsonSerializable(typeof(ResourcePage<NodeDocument>))]
[JsonSerializable(typeof(ObjectEvent<NodeDocument>))]
internal sealed partial class NodeDocumentContext : JsonSerializerContext;
