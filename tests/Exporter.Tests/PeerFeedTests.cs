using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Text.Json;
using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Peers;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.KnownPeers;

namespace Exporter.Tests;

/// <summary>Services, EndpointSlices and nodes as an API server shows them.</summary>
public sealed class PeerFeedTests : IDisposable
{
    private readonly KnownPeers _peers = new();

    public void Dispose() => _peers.Dispose();

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"metadata":null,"spec":null,"status":null,"endpoints":null,"ports":null}""")]
    [InlineData("""{"metadata":{"namespace":null,"name":null,"labels":null,"annotations":null},"spec":{"clusterIP":null,"clusterIPs":null,"externalIPs":null,"ports":null},"status":{"loadBalancer":null,"addresses":null}}""")]
    [InlineData("""{"metadata":{"labels":{"kubernetes.io/service-name":null}},"spec":{"clusterIP":"10.96.0.5","clusterIPs":[null,""],"externalIPs":[null],"ports":[null,{}]},"status":{"loadBalancer":{"ingress":[null,{"ip":null}]},"addresses":[null,{"type":null,"address":null}]},"endpoints":[null,{"addresses":null},{"addresses":[null,"","host.example"]}],"ports":[null,{"port":null}]}""")]
    public void Missing_fields_and_nulls_are_empty(string json)
    {
        Assert.Empty(Parse(json, ServiceDocumentContext.Default.ObjectEventServiceDocument).Describe().Addresses);
        var slice = Parse(json, EndpointSliceDocumentContext.Default.ObjectEventEndpointSliceDocument).Describe();
        Assert.Equal((0, ""), (slice.Addresses.Count, slice.Name));
        Assert.Empty(Parse(json, NodeDocumentContext.Default.ObjectEventNodeDocument).Describe().Addresses);
    }

    [Fact]
    public void Unknown_fields_are_skipped_and_of_labels_only_the_Service_s_name_is_kept()
    {
        var slice = Parse(
            """
            {"kind":"EndpointSlice","metadata":{"namespace":"shop","name":"web-1","managedFields":[{"a":{"b":[1,2]}}],
            "labels":{"app":"x","kubernetes.io/service-name":"web","deep":{"a":[{}]},"z":"y"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}},
            "addressType":"IPv4","endpoints":[{"addresses":["10.244.1.3"],"conditions":{"ready":false,"serving":null,"terminating":true},"hints":{"forZones":[{"name":"a"}]},"targetRef":{"kind":"Pod"},"zone":"a"}],
            "ports":[{"name":"","port":80,"protocol":"TCP","appProtocol":null}],"later":{"x":1}}
            """,
            EndpointSliceDocumentContext.Default.ObjectEventEndpointSliceDocument);

        Assert.Equal([("kubernetes.io/service-name", "web")], slice.Metadata.Labels!.Select(label => (label.Key, label.Value)));
        Assert.Null(slice.Metadata.Annotations);
        Assert.Equal("10.244.1.3", Assert.Single(slice.Describe().Addresses).ToString());
    }

    [Theory]
    [InlineData("""{"ready":true}""")]
    [InlineData("""{"ready":false}""")]
    [InlineData("""{"ready":false,"serving":true,"terminating":true}""")]
    [InlineData("null")]
    public void A_backend_is_its_Service_s_whether_it_is_ready_or_not(string conditions)
    {
        _peers.Slices.Set(Parse(
            $$$"""{"metadata":{"namespace":"shop","name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"endpoints":[{"addresses":["10.244.1.3"],"conditions":{{{conditions}}}}],"ports":[{"port":80}]}""",
            EndpointSliceDocumentContext.Default.ObjectEventEndpointSliceDocument));

        Assert.Equal("service shop/web endpoint pods", _peers.Find("10.244.1.3"));
    }

    [Theory]
    [InlineData("""{"port":80}""", 80, 6)]
    [InlineData("""{"port":80,"protocol":""}""", 80, 6)]
    [InlineData("""{"port":80,"protocol":"UDP"}""", 80, 17)]
    [InlineData("""{"port":65535,"protocol":"SCTP"}""", 65535, 132)]
    [InlineData("""{"protocol":"UDP"}""", 0, 17)]
    [InlineData("""{"port":80,"protocol":"ICMP"}""", null, 0)]
    [InlineData("""{"port":65536}""", null, 0)]
    [InlineData("""{"port":-1}""", null, 0)]
    public void A_port_has_a_number_and_a_protocol(string port, int? number, byte protocol) =>
        Assert.Equal(
            number is null ? [] : [PeerSource.Port((ushort)number.Value, protocol)],
            Slice("shop/web-1", "web", $"[{port}]", "10.244.1.3").Describe().Ports);

    /// <summary>Where packets of a node's own processes come from in the pods' networks.</summary>
    [Theory]
    [InlineData("projectcalico.org/IPv4IPIPTunnelAddr", "10.244.7.64")]
    [InlineData("projectcalico.org/IPv4VXLANTunnelAddr", "10.244.7.64")]
    [InlineData("projectcalico.org/IPv6VXLANTunnelAddr", "fd01::7")]
    [InlineData("projectcalico.org/IPv4WireguardInterfaceAddr", "10.244.7.65")]
    [InlineData("projectcalico.org/IPv6WireguardInterfaceAddr", "fd01::8")]
    [InlineData("network.cilium.io/ipv4-cilium-host", "10.244.2.195")]
    [InlineData("network.cilium.io/ipv6-cilium-host", "fd01::9")]
    [InlineData("io.cilium.network.ipv4-cilium-host", "10.244.2.195")]
    public void A_tunnel_s_address_in_an_annotation_is_the_node_s(string annotation, string address)
    {
        _peers.Nodes.Set(Annotated($$"""{"{{annotation}}":"{{address}}"}"""));

        Assert.Equal("node worker-2 node", _peers.Find(address));
        Assert.Equal("node worker-2 node", _peers.Find("10.0.0.12"));
    }

    [Theory]
    [InlineData("\"10.244.1.0/24\"", "10.244.1.0", "10.244.1.1", "10.244.1.2")]
    [InlineData("\"10.244.1.128/25\",\"fd01:0:0:1::/64\"", "fd01:0:0:1::", "fd01:0:0:1::1", "fd01:0:0:1::2")]
    public void With_Flannel_the_first_two_addresses_of_its_networks_are_the_node_s(string networks, string tunnel, string bridge, string pod)
    {
        _peers.Nodes.Set(Annotated("""{"flannel.alpha.coreos.com/backend-type":"vxlan"}""", $$"""{"podCIDRs":[{{networks}}]}"""));

        Assert.Equal("node worker-2 node", _peers.Find(tunnel));
        Assert.Equal("node worker-2 node", _peers.Find(bridge));
        Assert.Equal("class pods", _peers.Find(pod));
    }

    [Fact]
    public void An_API_server_with_one_network_for_a_node_has_it_too()
    {
        _peers.Nodes.Set(Annotated("""{"flannel.alpha.coreos.com/backend-type":"vxlan"}""", """{"podCIDR":"10.244.1.0/24"}"""));

        Assert.Equal("node worker-2 node", _peers.Find("10.244.1.1"));
    }

    /// <summary>Other plugins give these addresses to pods.</summary>
    [Theory]
    [InlineData("{}", """{"podCIDRs":["10.244.1.0/24"]}""")]
    [InlineData("""{"projectcalico.org/IPv4Address":"10.0.0.12/24"}""", """{"podCIDRs":["10.244.1.0/24"]}""")]
    [InlineData("""{"flannel.alpha.coreos.com/backend-type":"vxlan"}""", """{"podCIDRs":["10.244.1.0/32","10.244.1.1/31","none",null]}""")]
    [InlineData("""{"flannel.alpha.coreos.com/backend-type":"vxlan","projectcalico.org/IPv4VXLANTunnelAddr":""}""", """{"podCIDRs":null}""")]
    public void No_address_follows_from_the_networks_of_other_nodes(string annotations, string spec)
    {
        _peers.Nodes.Set(Annotated(annotations, spec));

        Assert.Equal("class pods", _peers.Find("10.244.1.0"));
        Assert.Equal("class pods", _peers.Find("10.244.1.1"));
        Assert.Equal("node worker-2 node", _peers.Find("10.0.0.12"));
    }

    private static NodeDocument Annotated(string annotations, string spec = "{}") => Parse(
        $$"""{"metadata":{"name":"worker-2","annotations":{{annotations}}},"spec":{{spec}},"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.12"}]} }""",
        NodeDocumentContext.Default.ObjectEventNodeDocument);

    [Fact]
    public async Task A_watch_fills_the_table_and_an_API_server_that_is_away_does_not_empty_it()
    {
        var (clock, registry, events, readiness) = (new PausingClock(), Prometheus.Metrics.NewCustomRegistry(), new Pipe(), new Readiness());
        var isAway = false;
        using var watch = new ResourceWatch<EndpointSliceDocument>(
            new(Send, new("https://127.0.0.1"), EndpointSliceDocument.Resource),
            _peers.Slices,
            requests: null,
            new(Prometheus.Metrics.WithCustomRegistry(registry), "endpointslices"),
            new LoopHealth(clock),
            readiness,
            clock,
            new RecordingLogger<PeerFeedTests>());
        await watch.StartAsync(CancellationToken.None);
        clock.Advance(await clock.NextPauseAsync());
        var applied = _peers.Store.Table;
        await events.Writer.WriteAsync(Encoding.UTF8.GetBytes("""{"type":"MODIFIED","object":{"metadata":{"namespace":"shop","name":"web-1","resourceVersion":"9","labels":{"kubernetes.io/service-name":"web"}},"endpoints":[{"addresses":["10.244.1.4"]}],"ports":[{"port":80}]}}""" + "\n"));
        while (_peers.Find("10.244.1.4") != "service shop/web endpoint pods")
        {
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }
        isAway = true;
        await events.Writer.CompleteAsync(new IOException("reset"));
        await clock.NextPauseAsync();

        Assert.Equal("service shop/web endpoint pods", _peers.Find("10.244.1.4"));
        await watch.StopAsync(CancellationToken.None);

        Task<HttpResponseMessage> Send(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var path = request.RequestUri!.PathAndQuery;
            Assert.StartsWith("/apis/discovery.k8s.io/v1/endpointslices?", path, StringComparison.Ordinal);
            return Task.FromResult(
                isAway ? new HttpResponseMessage(HttpStatusCode.ServiceUnavailable) { Content = new StringContent("away") }
                : path.Contains("watch=true", StringComparison.Ordinal) ? new() { Content = new StreamContent(events.Reader.AsStream()) }
                : new() { Content = new StreamContent(new Trickle("""{"kind":"EndpointSliceList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"namespace":"shop","name":"web-1","labels":{"a":"b","kubernetes.io/service-name":"web"},"annotations":{"long":"text"}},"endpoints":[{"addresses":["10.244.1.3"]}],"ports":[{"port":80}]}]}""")) });
        }
    }

    [Fact]
    public async Task A_list_longer_than_the_buffer_that_it_is_read_into_is_read()
    {
        const int Slices = 500;
        var items = Enumerable.Range(0, Slices).Select(number => $$$"""{"metadata":{"namespace":"shop","name":"web-{{{number}}}","labels":{"a":"b","kubernetes.io/service-name":"web-{{{number}}}"},"annotations":{"long":"text"}},"endpoints":[{"addresses":["10.244.1.3"]}]}""");
        using var body = new Trickle($$"""{"kind":"EndpointSliceList","metadata":{"resourceVersion":"7"},"items":[{{string.Join(',', items)}}]}""");

        var page = await JsonSerializer.DeserializeAsync(body, EndpointSliceDocument.Resource.Page, TestContext.Current.CancellationToken);

        Assert.Equal(Enumerable.Range(0, Slices).Select(number => $"web-{number}"), page!.Items!.Select(slice => slice!.Describe().Name));
    }

    [Fact]
    public void Resources_are_watched_in_all_namespaces()
    {
        Assert.Equal(("services", "api/v1/services?", "ServiceList"), Of(ServiceDocument.Resource));
        Assert.Equal(("endpointslices", "apis/discovery.k8s.io/v1/endpointslices?", "EndpointSliceList"), Of(EndpointSliceDocument.Resource));
        Assert.Equal(("nodes", "api/v1/nodes?", "NodeList"), Of(NodeDocument.Resource));

        static (string, string, string) Of<T>(Resource<T> resource)
            where T : KubernetesObject => (resource.Name, resource.Selection, resource.ListKind);
    }

    /// <summary>Hands out one byte at a time, as a slow connection may.</summary>
    private sealed class Trickle(string text) : MemoryStream(Encoding.UTF8.GetBytes(text))
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..1], cancellationToken);
    }
}
