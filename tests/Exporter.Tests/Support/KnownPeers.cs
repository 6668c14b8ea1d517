using System.Net;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using Exporter.Kubernetes;
using Exporter.Peers;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests.Support;

/// <summary>A store of peers with its feeds, which take documents in JSON as events of a watch bring them.</summary>
internal sealed class KnownPeers : IDisposable
{
    internal const byte Tcp = 6;
    internal const byte Udp = 17;

    internal KnownPeers(string classes = "pods=10.244.0.0/16,fd01::/48")
    {
        Metrics = new(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()));
        Store = new(ClassesOf(classes), Metrics, Clock, Logger);
        Services = new(Store, PeerRole.Vip, static service => service.Describe());
        Slices = new(Store, PeerRole.Endpoint, static slice => slice.Describe());
        Nodes = new(Store, PeerRole.Node, static node => node.Describe());
    }

    internal FakeTimeProvider Clock { get; } = new();

    internal RecordingLogger<PeerStore> Logger { get; } = new();

    internal PeerMetrics Metrics { get; }

    internal PeerStore Store { get; }

    internal PeerFeed<ServiceDocument> Services { get; }

    internal PeerFeed<EndpointSliceDocument> Slices { get; }

    internal PeerFeed<NodeDocument> Nodes { get; }

    internal static PeerClasses ClassesOf(string list) => PeerClassList.Parse(list.Split(';', StringSplitOptions.RemoveEmptyEntries));

    internal static ServiceDocument Service(string name, string spec, string status = "{}") =>
        Parse($$"""{"metadata":{{Metadata(name)}},"spec":{{spec}},"status":{{status}}}""", ServiceDocumentContext.Default.ObjectEventServiceDocument);

    /// <param name="service">Null: without the label.</param>
    internal static EndpointSliceDocument Slice(string name, string? service, string ports, params string[] addresses) => Parse(
        $$"""
        {"metadata":{{Metadata(name, service is null ? "{}" : $$"""{"kubernetes.io/service-name":"{{service}}"}""")}},"addressType":"IPv4","ports":{{ports}},
        "endpoints":[{{string.Join(',', addresses.Select(address => $$"""{"addresses":["{{address}}"],"conditions":{"ready":true} }"""))}}]}
        """,
        EndpointSliceDocumentContext.Default.ObjectEventEndpointSliceDocument);

    internal static NodeDocument Node(string name, params string[] addresses) => Parse(
        $$"""
        {"metadata":{"name":"{{name}}"},"status":{"addresses":[{"type":"Hostname","address":"10.9.9.9"} {{string.Concat(addresses.Select(address => $$""",{"type":"InternalIP","address":"{{address}}"}"""))}}]} }
        """,
        NodeDocumentContext.Default.ObjectEventNodeDocument);

    internal static T Parse<T>(string json, JsonTypeInfo<ObjectEvent<T>> format)
        where T : KubernetesObject => ResourceEvent<T>.Parse(Encoding.UTF8.GetBytes($$"""{"type":"ADDED","object":{{json.ReplaceLineEndings(" ")}}}"""), format).Object;

    /// <summary>Shows a peer as one text, from the table of a second later: its kind, its name, its class where that is another name, and whether the address is a Service's own.</summary>
    internal string Find(string address, int port = 80, byte protocol = Tcp)
    {
        Clock.Advance(TimeSpan.FromSeconds(1));
        var peer = Store.Table.Find(Bytes(address), (ushort)port, protocol);
        return peer.Kind switch
        {
            PeerKind.Service => $"service {peer.Namespace}/{peer.Name} {(peer.IsVip ? "vip" : "endpoint")} {peer.Class}",
            PeerKind.Node => $"node {peer.Name} {peer.Class}",
            _ => $"class {peer.Class}",
        };
    }

    internal bool IsServerPort(string address, int port, byte protocol = Tcp)
    {
        Clock.Advance(TimeSpan.FromSeconds(1));
        return Store.Table.IsServerPort(Bytes(address), (ushort)port, protocol);
    }

    public void Dispose() => Store.Dispose();

    internal static byte[] Bytes(string address) => IPAddress.Parse(address).GetAddressBytes();

    /// <param name="name">namespace/name.</param>
    private static string Metadata(string name, string labels = "{}") => name.Split('/') is [var space, var own]
        ? $$"""{"namespace":"{{space}}","name":"{{own}}","resourceVersion":"5","labels":{{labels}}}"""
        : throw new ArgumentException(name);
}
