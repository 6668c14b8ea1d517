using Exporter.Peers;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.KnownPeers;

namespace Exporter.Tests;

/// <summary>Who has an address, where several objects could.</summary>
public sealed class PeerTableTests : IDisposable
{
    private const string Web = """[{"name":"web","port":80,"protocol":"TCP"}]""";

    private readonly KnownPeers _peers = new();

    public void Dispose() => _peers.Dispose();

    [Fact]
    public void A_Service_has_its_own_address_with_each_of_its_ports_and_protocols_alone()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","clusterIPs":["10.96.0.5"],"ports":[{"port":80},{"port":443,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]}"""));

        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5"));
        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5", 443));
        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5", 53, Udp));
        Assert.Equal("class private", _peers.Find("10.96.0.5", 53));
        Assert.Equal("class private", _peers.Find("10.96.0.5", 80, Udp));
        Assert.Equal("class private", _peers.Find("10.96.0.6"));
    }

    [Fact]
    public void Both_families_external_addresses_and_load_balancers_are_a_Service_s_own()
    {
        _peers.Services.Set(Service(
            "shop/web",
            """{"clusterIP":"10.96.0.5","clusterIPs":["10.96.0.5","fd02::5"],"externalIPs":["192.0.2.7"],"loadBalancerIP":"192.0.2.99","ports":[{"port":80}]}""",
            """{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"},{"hostname":"lb.example"},{"ip":"2001:db8::1"}]}}"""));

        Assert.All((string[])["10.96.0.5", "fd02::5", "192.0.2.7", "198.51.100.1", "2001:db8::1"], address => Assert.Equal("service shop/web vip service", _peers.Find(address)));
        Assert.Equal("class internet", _peers.Find("192.0.2.99"));
    }

    [Fact]
    public void An_older_API_server_has_one_address_only()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));

        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5"));
    }

    [Theory]
    [InlineData("""{"clusterIP":"None","clusterIPs":["None"],"externalIPs":["192.0.2.7"],"ports":[{"port":80}]}""")]
    [InlineData("""{"type":"ExternalName","externalName":"db.example","externalIPs":["192.0.2.7"],"ports":[{"port":80}]}""")]
    public void A_headless_Service_and_a_DNS_name_have_no_address_of_their_own(string spec)
    {
        _peers.Services.Set(Service("shop/db", spec));
        _peers.Slices.Set(Slice("shop/db-1", "db", Web, "10.244.1.3"));

        Assert.Equal("class internet", _peers.Find("192.0.2.7"));
        Assert.Equal("service shop/db endpoint pods", _peers.Find("10.244.1.3"));
    }

    [Fact]
    public void A_backend_is_its_Service_s_on_any_port_and_keeps_the_class_of_its_address()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3", "fd01::3", "203.0.113.8"));

        Assert.Equal("service shop/web endpoint pods", _peers.Find("10.244.1.3"));
        Assert.Equal("service shop/web endpoint pods", _peers.Find("10.244.1.3", 40_000, Udp));
        Assert.Equal("service shop/web endpoint pods", _peers.Find("fd01::3"));
        Assert.Equal("service shop/web endpoint internet", _peers.Find("203.0.113.8"));
    }

    [Fact]
    public void A_Service_s_own_address_comes_before_a_backend_s()
    {
        _peers.Slices.Set(Slice("aaa/first-1", "first", Web, "192.0.2.7"));
        _peers.Services.Set(Service("zzz/last", """{"clusterIPs":["10.96.0.5"],"externalIPs":["192.0.2.7"],"ports":[{"port":80}]}"""));

        Assert.Equal("service zzz/last vip service", _peers.Find("192.0.2.7"));
        Assert.Equal("service aaa/first endpoint internet", _peers.Find("192.0.2.7", 81));
    }

    [Fact]
    public void Of_two_Services_with_one_backend_the_one_with_the_port_is_shown_and_else_the_first_by_name()
    {
        const string Metrics = """[{"port":9090}]""";
        foreach (var order in (string[][])[["b", "a"], ["a", "b"]])
        {
            foreach (var name in order)
            {
                _peers.Slices.Set(Slice($"shop/{name}-1", name, name == "a" ? Web : Metrics, "10.244.1.3"));
            }

            Assert.Equal("service shop/a endpoint pods", _peers.Find("10.244.1.3"));
            Assert.Equal("service shop/b endpoint pods", _peers.Find("10.244.1.3", 9090));
            Assert.Equal("service shop/a endpoint pods", _peers.Find("10.244.1.3", 50_000));
            _peers.Slices.Remove(Slice("shop/a-1", "a", Web));
            Assert.Equal("service shop/b endpoint pods", _peers.Find("10.244.1.3"));
            _peers.Slices.Remove(Slice("shop/b-1", "b", Web));
            Assert.Equal("class pods", _peers.Find("10.244.1.3"));
        }
    }

    [Fact]
    public void Namespaces_order_Services_before_names_do()
    {
        _peers.Slices.Set(Slice("zoo/a-1", "a", Web, "10.244.1.3"));
        _peers.Slices.Set(Slice("ant/z-1", "z", Web, "10.244.1.3"));

        Assert.Equal("service ant/z endpoint pods", _peers.Find("10.244.1.3"));
    }

    [Fact]
    public void An_exact_port_comes_before_all_ports_and_these_before_another_port()
    {
        _peers.Slices.Set(Slice("shop/a-1", "a", """[{"port":81}]""", "10.244.1.3"));
        _peers.Slices.Set(Slice("shop/b-1", "b", """[{"name":"all","port":null,"protocol":"TCP"}]""", "10.244.1.3"));
        _peers.Slices.Set(Slice("shop/c-1", "c", Web, "10.244.1.3"));

        Assert.Equal("service shop/c endpoint pods", _peers.Find("10.244.1.3", 80));
        Assert.Equal("service shop/a endpoint pods", _peers.Find("10.244.1.3", 81));
        Assert.Equal("service shop/b endpoint pods", _peers.Find("10.244.1.3", 82));
        Assert.Equal("service shop/a endpoint pods", _peers.Find("10.244.1.3", 82, Udp));
    }

    [Fact]
    public void Of_a_node_s_address_a_Service_has_its_ports_alone()
    {
        _peers.Nodes.Set(Node("worker-1", "10.0.0.11", "fd00::11"));
        _peers.Slices.Set(Slice("default/kubernetes", "kubernetes", """[{"port":6443}]""", "10.0.0.11"));
        _peers.Services.Set(Service("shop/lb", """{"clusterIP":"10.96.0.5","ports":[{"port":443,"nodePort":30443}]}""", """{"loadBalancer":{"ingress":[{"ip":"10.0.0.11"}]}}"""));

        Assert.Equal("service default/kubernetes endpoint node", _peers.Find("10.0.0.11", 6443));
        Assert.Equal("service shop/lb vip service", _peers.Find("10.0.0.11", 443));
        Assert.Equal("node worker-1 node", _peers.Find("10.0.0.11", 30443));
        Assert.Equal("node worker-1 node", _peers.Find("fd00::11"));
        Assert.Equal("class private", _peers.Find("10.9.9.9"));
    }

    [Fact]
    public void Classes_have_the_rest_and_can_be_changed()
    {
        Assert.Equal("class pods", _peers.Find("10.244.1.3"));

        _peers.Store.Configure(ClassesOf("pods=10.1.0.0/16"));

        Assert.Equal("class private", _peers.Find("10.244.1.3"));
        Assert.Equal("class pods", _peers.Find("10.1.1.3"));
    }

    [Fact]
    public void Ports_of_Services_and_backends_show_the_server()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));
        _peers.Slices.Set(Slice("shop/web-1", "web", """[{"port":8080},{"port":null}]""", "10.244.1.3"));

        Assert.True(_peers.IsServerPort("10.96.0.5", 80));
        Assert.True(_peers.IsServerPort("10.244.1.3", 8080));
        Assert.False(_peers.IsServerPort("10.244.1.3", 80));
        Assert.False(_peers.IsServerPort("10.244.1.3", 8080, Udp));
        Assert.False(_peers.IsServerPort("10.244.1.3", 0));
        Assert.False(_peers.IsServerPort("10.96.0.6", 80));
    }

    [Fact]
    public void An_address_of_IPv4_in_IPv6_is_the_same_address()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3"));

        Assert.Equal("service shop/web endpoint pods", _peers.Find("::ffff:10.244.1.3"));
    }

    [Fact]
    public void A_look_up_allocates_nothing()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3"));
        var (table, address, before) = (_peers.Store.Table, Bytes("10.244.1.3"), 0L);
        for (var i = 0; i < 2; i++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            table.Find(address, 80, Tcp);
            table.IsServerPort(address, 80, Tcp);
        }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Without_Kubernetes_there_are_classes() => Assert.Equal("private", PeerTable.Of(PeerClasses.BuiltIn).Find(Bytes("10.0.0.1"), 80, Tcp).Name);
}
