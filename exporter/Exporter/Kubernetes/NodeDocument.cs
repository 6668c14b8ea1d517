using System.Net;
using System.Text.Json.Serialization;
using Exporter.Peers;

namespace Exporter.Kubernetes;

/// <summary>
/// A node as the API server shows it, with only its name, addresses and networks of 20 KB and more
/// (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/). Fields that are missing or null are empty.
/// </summary>
internal sealed record NodeDocument : KubernetesObject
{
    /// <summary>The smallest network, of 128 bits, that has addresses for pods beside these two.</summary>
    private const int MostBits = 126;

    public NodeSpec Spec { get => field; init => field = value ?? new(); } = new();

    public NodeStatus Status { get => field; init => field = value ?? new(); } = new();

    /// <summary>All nodes as a resource to watch.</summary>
    internal static Resource<NodeDocument> Resource { get; } = new(
        "nodes", "api/v1/nodes", Node: null, "NodeList", NodeDocumentContext.Default.ResourcePageNodeDocument, NodeDocumentContext.Default.ObjectEventNodeDocument);

    internal PeerFacts Describe() => new(
        PeerRole.Node,
        "",
        Metadata.Name,
        Metadata.Name,
        [
            .. AddressTexts.Parse((Status.Addresses ?? []).Where(address => address?.Type is "InternalIP" or "ExternalIP").Select(address => address!.Address)),
            .. AddressTexts.Parse(NodeAddressAnnotations.Addresses.Select(name => Metadata.Annotations?.GetValueOrDefault(name))),
            .. FindFlannelAddresses(),
        ],
        []);

    /// <summary>
    /// Of Flannel no annotation has an address. Its tunnel has the first address of the node's network, and its bridge the second, which its IPAM (host-local) gives
    /// to no pod. Others do, so of nodes without Flannel nothing follows from their networks.
    /// </summary>
    private IEnumerable<IPAddress> FindFlannelAddresses()
    {
        if (Metadata.Annotations?.ContainsKey(NodeAddressAnnotations.Flannel) != true)
        {
            return [];
        }
        return (Spec.PodCidrs is { Count: > 0 } all ? all : [Spec.PodCidr])
            .Select(text => AddressPrefix.Parse(text ?? "")?.Network)
            .OfType<AddressPrefix>()
            .Where(network => network.Length <= MostBits)
            .SelectMany(network => (IEnumerable<IPAddress>)[PeerAddress.Address(network.First, network.IsIpv4), PeerAddress.Address(network.First + 1, network.IsIpv4)]);
    }
}

internal sealed record NodeSpec
{
    [JsonPropertyName("podCIDR")]
    public string? PodCidr { get; init; }

    /// <summary>All, the first the same as <see cref="PodCidr"/>; since Kubernetes 1.16.</summary>
    [JsonPropertyName("podCIDRs")]
    public IReadOnlyList<string?>? PodCidrs { get; init; }
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

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, Converters = [typeof(NodeAddressAnnotations)])]
[JsonSerializable(typeof(ResourcePage<NodeDocument>))]
[JsonSerializable(typeof(ObjectEvent<NodeDocument>))]
internal sealed partial class NodeDocumentContext : JsonSerializerContext;
