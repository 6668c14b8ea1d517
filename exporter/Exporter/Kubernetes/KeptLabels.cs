using System.Text.Json;
using System.Text.Json.Serialization;

namespace Exporter.Kubernetes;

/// <summary>
/// Reads labels and annotations, and keeps only some. The rest may have kilobytes for each object, as the copy that kubectl apply keeps, and a list has
/// thousands of objects.
/// </summary>
/// <param name="names">Those that are kept.</param>
internal abstract class KeptLabels(params string[] names) : JsonConverter<IReadOnlyDictionary<string, string>>
{
    public override IReadOnlyDictionary<string, string>? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException();
        }
        Dictionary<string, string>? kept = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var wanted = FindKept(reader);
            reader.Read();
            if (wanted is not null && reader.TokenType == JsonTokenType.String)
            {
                kept ??= [];
                kept[wanted] = reader.GetString()!;
            }
            // Skip() refuses wherever the document is longer than the buffer; the serializer has all of this object in it.
            if (!reader.TrySkip())
            {
                throw new JsonException();
            }
        }
        return kept;
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyDictionary<string, string> value, JsonSerializerOptions options) => throw new NotSupportedException();

    private string? FindKept(in Utf8JsonReader reader)
    {
        foreach (var name in names)
        {
            if (reader.ValueTextEquals(name))
            {
                return name;
            }
        }
        return null;
    }
}

/// <summary>Keeps the name of an EndpointSlice's Service.</summary>
internal sealed class ServiceNameLabel() : KeptLabels(Name)
{
    /// <summary>The label that has it (https://kubernetes.io/docs/reference/labels-annotations-taints/).</summary>
    internal const string Name = "kubernetes.io/service-name";
}

/// <summary>Keeps the annotations of a node that say which addresses it has in the pods' networks.</summary>
internal sealed class NodeAddressAnnotations() : KeptLabels([.. Addresses, Flannel])
{
    /// <summary>Every node has it where Flannel runs, also as a part of k3s and Canal, unless its prefix is changed.</summary>
    internal const string Flannel = "flannel.alpha.coreos.com/backend-type";

    /// <summary>
    /// Each has an address that the node alone has: packets of its own processes to pods of other nodes come from it. Of Calico's tunnels, and of Cilium's own interface
    /// by its names now and before 1.14.
    /// </summary>
    internal static readonly string[] Addresses =
    [
        "projectcalico.org/IPv4IPIPTunnelAddr", "projectcalico.org/IPv4VXLANTunnelAddr", "projectcalico.org/IPv6VXLANTunnelAddr",
        "projectcalico.org/IPv4WireguardInterfaceAddr", "projectcalico.org/IPv6WireguardInterfaceAddr",
        "network.cilium.io/ipv4-cilium-host", "network.cilium.io/ipv6-cilium-host", "io.cilium.network.ipv4-cilium-host", "io.cilium.network.ipv6-cilium-host",
    ];
}
