using System.Text.Json.Serialization.Metadata;

namespace Exporter.Kubernetes;

/// <summary>A resource of the Kubernetes API: its path, the objects of it that are watched, and how their JSON is read.</summary>
/// <param name="Name">The resource's name, as in RBAC and in the label <c>resource</c>: pods.</param>
/// <param name="Path">The path of its list below the API server's address.</param>
/// <param name="Node">Only objects whose spec.nodeName is this node are watched; null: all.</param>
/// <param name="ListKind">The kind of its lists: PodList.</param>
internal sealed record Resource<T>(string Name, string Path, string? Node, string ListKind, JsonTypeInfo<ResourcePage<T>> Page, JsonTypeInfo<ObjectEvent<T>> Event)
    where T : KubernetesObject
{
    /// <summary>The path with the query that selects the watched objects.</summary>
    internal string Selection => Node is null ? $"{Path}?" : $"{Path}?fieldSelector=spec.nodeName%3D{Uri.EscapeDataString(Node)}&";

    /// <summary>Names the watched objects in messages.</summary>
    public override string ToString() => Node is null ? Name : $"{Name} of node {Node}";
}
