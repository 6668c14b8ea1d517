using System.Buffers.Binary;
using System.Net;
using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Names of both ends of a flow.</summary>
public sealed class FlowEndsTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly DateTimeOffset Steady = DateTimeOffset.MinValue + TimeSpan.FromDays(10);

    private readonly PodTable _pods = new();
    private readonly KnownPeers _peers = new("pods=10.244.0.0/16");
    private readonly List<IPAddress> _own = [];
    private readonly List<LinkAddress> _others = [];
    private readonly List<Link> _links = [];
    private readonly RecordingLogger<NodeAddresses> _logger = new();
    private readonly FlowEnds _ends;
    private bool _fails;

    public FlowEndsTests() =>
        _ends = new(_pods, () => _peers.Store.Table, new(
            "worker-1",
            () => _fails ? throw new NetlinkException("list the addresses", 5) : _own.Select(address => new LinkAddress(1, address)).Concat(_others),
            name => _links.Find(link => link.Name == name),
            _logger));

    public void Dispose() => _peers.Dispose();

    [Fact]
    public void A_pod_of_the_node_has_its_name_and_no_class()
    {
        Add(1, "10.0.0.4", "web-0");
        Refresh();

        var end = FindRemote(Key("10.0.0.9", 4000, "10.0.0.4", 80));

        Assert.Equal(("shop", "web-0", "web", "Deployment", ""), (end?.Namespace, end?.Pod, end?.Workload, end?.WorkloadKind, end?.Class));
        Assert.Equal(("workload", "shop", "web"), FindPeer(Key("10.0.0.9", 4000, "10.0.0.4", 80)));
    }

    [Fact]
    public void A_pod_without_a_workload_is_its_own_in_records_as_in_edges()
    {
        Add(1, "10.0.0.4", "web-0", workload: "");
        Refresh();

        Assert.Equal("web-0", FindRemote(Key("10.0.0.9", 4000, "10.0.0.4", 80))?.Workload);
        Assert.Equal(("workload", "shop", "web-0"), FindPeer(Key("10.0.0.9", 4000, "10.0.0.4", 80)));
    }

    [Fact]
    public void Of_two_interfaces_with_one_address_the_later_one_has_it()
    {
        Add(1, "10.0.0.4", "web-0");
        Add(2, "10.0.0.4", "web-1");
        Refresh();

        Assert.Equal("web-1", FindRemote(Key("10.0.0.9", 4000, "10.0.0.4", 80))?.Pod);
    }

    [Fact]
    public void An_address_that_no_pod_has_any_more_is_of_its_class()
    {
        Add(1, "192.168.0.4", "web-0");
        Refresh();
        _pods.Current = _pods.Current.Remove(1);
        Refresh();

        Assert.Equal("private", FindRemote(Key("10.0.0.9", 4000, "192.168.0.4", 80))?.Class);
    }

    [Theory]
    [InlineData("8.8.8.8", "internet")]
    [InlineData("169.254.169.254", "metadata")]
    [InlineData("224.0.0.1", "multicast")]
    [InlineData("fd00::1", "private")]
    [InlineData("2001:db8::1", "internet")]
    public void Other_addresses_have_a_class(string address, string @class)
    {
        var key = Key(address.Contains(':', StringComparison.Ordinal) ? "fd00::9" : "10.0.0.9", 4000, address, 80);

        Assert.Equal(@class, FindRemote(key)?.Class);
        Assert.Equal(("class", "", @class), FindPeer(key));
    }

    [Fact]
    public void The_end_with_the_higher_port_has_begun_where_nothing_else_is_known()
    {
        Assert.Equal((true, FlowOrientation.Port), _ends.Guess(Key("10.0.0.9", 4000, "8.8.8.8", 80)));
        Assert.Equal((false, FlowOrientation.Port), _ends.Guess(Key("10.0.0.9", 80, "8.8.8.8", 4000)));
    }

    /// <summary>Else a sum over the observers has the connection twice, or not at all.</summary>
    [Theory]
    [InlineData("10.0.0.9", 7000, "10.0.0.10", 7000)]
    [InlineData("10.0.0.9", 0, "10.0.0.10", 0)]
    [InlineData("fd00::9", 7000, "fd00::1:9", 7000)]
    public void Both_observers_of_one_connection_with_equal_ports_see_the_same_end_begin(string one, int onePort, string other, int otherPort)
    {
        var (isFirst, orientation) = _ends.Guess(Key(one, (ushort)onePort, other, (ushort)otherPort));

        Assert.Equal(FlowOrientation.Port, orientation);
        Assert.Equal((!isFirst, FlowOrientation.Port), _ends.Guess(Key(other, (ushort)otherPort, one, (ushort)onePort)));
    }

    [Fact]
    public void A_pod_that_is_shown_otherwise_has_its_new_names()
    {
        var owner = Add(1, "10.0.0.4", "web-0");
        Refresh();
        Assert.Equal("web-0", _ends.FindPod(owner)?.Pod);

        owner.Pod = owner.Pod! with { Workload = "other" };

        Assert.Equal("other", _ends.FindPod(owner)?.Workload);
    }

    /// <summary>The old pod is gone by the reading, but its interface was counted in the interval.</summary>
    [Theory]
    [InlineData(-9, "web-0")]
    [InlineData(-7, "web-0")]
    [InlineData(-5, "web-1")]
    [InlineData(0, "web-1")]
    public void A_flow_is_of_the_pod_that_had_the_address_when_its_last_packet_was_seen(int last, string pod)
    {
        Add(1, "10.244.0.4", "web-0", workload: "");
        Add(2, "10.244.0.4", "web-1", workload: "", bornAfter: -6);
        Refresh();

        Assert.Equal(pod, FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80), last)?.Pod);
        Assert.Equal(("workload", "shop", pod), FindPeer(Key("10.244.0.9", 4000, "10.244.0.4", 80), last));
    }

    [Theory]
    [InlineData(-9, "", "pods")]
    [InlineData(-5, "web-1", "")]
    public void A_pod_gives_its_name_to_no_flow_from_before_it_was_there(int last, string pod, string @class)
    {
        Add(2, "10.244.0.4", "web-1", bornAfter: -6);
        Refresh();

        var end = FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80), last);

        Assert.Equal((pod, @class), (end?.Pod, end?.Class));
        Assert.Equal(@class.Length > 0 ? "class" : "workload", FindPeer(Key("10.244.0.9", 4000, "10.244.0.4", 80), last).Kind);
    }

    /// <summary>The event that an interface is there comes a little later than its first packets can.</summary>
    [Fact]
    public void A_packet_from_just_before_the_interface_was_seen_is_its_pod_s()
    {
        Add(2, "10.244.0.4", "web-1", bornAfter: -6);
        Refresh();

        Assert.Equal("web-1", FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80), -6.5)?.Pod);
    }

    [Fact]
    public void A_clock_that_is_set_changes_no_name()
    {
        Add(1, "10.244.0.4", "web-0", workload: "");
        Add(2, "10.244.0.4", "web-1", workload: "", bornAfter: -6);
        Refresh();
        _ends.Refresh(Now + TimeSpan.FromHours(1), Steady);

        Assert.Equal("web-0", FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80), -9)?.Pod);
        Assert.Equal("web-1", FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80), -5)?.Pod);
    }

    /// <summary>Bridges and tunnels of network plugins have addresses of the pods' networks, and kubelet's probes come from them.</summary>
    [Theory]
    [InlineData("10.244.1.1")]
    [InlineData("10.244.1.0")]
    [InlineData("192.168.7.7")]
    [InlineData("fd00::7")]
    [InlineData("198.51.100.9")]
    public void An_address_of_the_node_itself_is_the_node_s_whatever_network_it_is_in(string address)
    {
        _own.Add(IPAddress.Parse(address));
        Refresh();
        var key = Key(address.Contains(':', StringComparison.Ordinal) ? "fd00::9" : "10.244.0.9", 80, address, 40_000);

        Assert.Equal("node", FindRemote(key)?.Class);
        Assert.Equal(("node", "", "worker-1"), FindPeer(key));
    }

    [Theory]
    [InlineData("127.0.0.1", "internet")]
    [InlineData("169.254.169.254", "metadata")]
    [InlineData("169.254.20.10", "private")]
    [InlineData("fe80::1", "private")]
    public void Addresses_that_many_nodes_have_are_not_the_node_s(string address, string @class)
    {
        _own.Add(IPAddress.Parse(address));
        Refresh();

        Assert.Equal(@class, FindRemote(Key(address.Contains(':', StringComparison.Ordinal) ? "fd00::9" : "10.244.0.9", 4000, address, 80))?.Class);
    }

    [Fact]
    public void A_pod_comes_before_the_node_and_so_do_a_Service_and_its_backend_with_their_ports()
    {
        Add(1, "10.244.0.4", "web-0");
        _peers.Services.Set(KnownPeers.Service("kube-system/dns", """{"clusterIP":"10.96.0.10","ports":[{"port":53}]}"""));
        _peers.Slices.Set(KnownPeers.Slice("ingress/web-1", "web", """[{"port":443}]""", "192.168.7.7"));
        _peers.Clock.Advance(TimeSpan.FromSeconds(1));
        _own.AddRange(((string[])["10.244.0.4", "10.96.0.10", "192.168.7.7"]).Select(IPAddress.Parse));
        Refresh();

        Assert.Equal("web-0", FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80))?.Pod);
        Assert.Equal(("dns", "service"), NamesOf("10.96.0.10", 53));
        // A node where kube-proxy uses IPVS has all of these addresses.
        Assert.Equal(("", "private"), NamesOf("10.96.0.10", 54));
        Assert.Equal(("web", "node"), NamesOf("192.168.7.7", 443));
        Assert.Equal(("", "node"), NamesOf("192.168.7.7", 444));

        (string? Service, string? Class) NamesOf(string address, ushort port) =>
            FindRemote(Key("10.244.0.9", 4000, address, port)) is { } end ? (end.Service, end.Class) : default;
    }

    /// <summary>A cluster in a pod has the outer one's addresses on a bridge of its own, and a pod with NET_ADMIN any that it likes.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pod_takes_no_other_pod_s_address_by_an_interface_inside_of_it(bool isInner)
    {
        Claim(Add(1, "10.244.0.4", "web-0"), "10.244.0.4");
        var taker = Claim(Add(2, "10.244.0.5", "ci"), "10.244.0.5");
        Take(taker, "10.244.0.4", isInner);
        Refresh();

        Assert.Equal("web-0", FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80))?.Pod);
        Assert.Equal("ci", FindRemote(Key("10.244.0.9", 4000, "10.244.0.5", 80))?.Pod);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pod_takes_no_address_of_the_node(bool isInner)
    {
        _own.Add(IPAddress.Parse("10.42.0.1"));
        Take(Claim(Add(1, "10.244.0.5", "ci"), "10.244.0.5"), "10.42.0.1", isInner);
        Refresh();

        Assert.Equal(("node", "", "worker-1"), FindPeer(Key("10.244.0.9", 80, "10.42.0.1", 40_000)));
        Assert.Equal("node", FindRemote(Key("10.244.0.9", 80, "10.42.0.1", 40_000))?.Class);
    }

    [Fact]
    public void A_pod_takes_no_address_of_a_Service_nor_of_a_pod_elsewhere_by_an_interface_inside_of_it()
    {
        _peers.Services.Set(KnownPeers.Service("kube-system/dns", """{"clusterIP":"10.96.0.10","ports":[{"port":53}]}"""));
        _peers.Clock.Advance(TimeSpan.FromSeconds(1));
        var owner = Add(1, "10.244.0.5", "ci");
        Take(owner, "10.96.0.10", isInner: true);
        Take(owner, "10.244.7.0", isInner: true);
        Refresh();

        Assert.Equal("dns", FindRemote(Key("10.244.0.9", 4000, "10.96.0.10", 53))?.Service);
        Assert.Equal("pods", FindRemote(Key("10.244.0.9", 4000, "10.244.7.0", 53))?.Class);
    }

    [Fact]
    public void An_address_inside_of_one_pod_alone_is_the_pod_s_and_of_two_is_of_neither()
    {
        Take(Add(1, "10.244.0.4", "ci-0"), "172.17.0.1", isInner: true);
        Refresh();
        Assert.Equal("ci-0", FindRemote(Key("10.244.0.9", 4000, "172.17.0.1", 80))?.Pod);

        Take(Add(2, "10.244.0.5", "ci-1"), "172.17.0.1", isInner: true);
        Refresh();
        Assert.Equal(("class", "", "private"), FindPeer(Key("10.244.0.9", 4000, "172.17.0.1", 80)));
    }

    [Fact]
    public void An_address_that_the_API_server_has_of_the_pod_is_its_own_whichever_interface_has_it()
    {
        Add(1, "10.244.0.4", "earlier");
        Claim(Take(Add(2, "10.99.0.5", "web-0"), "10.244.0.4", isInner: true), "10.244.0.4");
        Refresh();

        Assert.Equal("web-0", FindRemote(Key("10.244.0.9", 4000, "10.244.0.4", 80))?.Pod);
    }

    /// <summary>Before Services are known, too, and for ports that they do not have.</summary>
    [Theory]
    [InlineData("kube-ipvs0", "private")]
    [InlineData("kube-dummy-if", "private")]
    [InlineData("nodelocaldns", "private")]
    [InlineData("dummy0", "node")]
    public void Addresses_of_Services_that_the_node_has_for_its_proxy_are_not_its_own(string link, string @class)
    {
        _links.Add(new(8, link, "dummy", 0, 0, null));
        _others.Add(new(8, IPAddress.Parse("10.96.0.10")));
        Refresh();

        Assert.Equal(@class, FindRemote(Key("10.244.0.9", 4000, "10.96.0.10", 53))?.Class);
    }

    [Fact]
    public void Addresses_come_and_go_with_the_intervals_and_stay_while_they_cannot_be_listed()
    {
        var key = Key("10.244.0.9", 80, "10.244.1.1", 40_000);
        _own.Add(IPAddress.Parse("10.244.1.1"));
        Refresh();
        _fails = true;
        Refresh();
        Refresh();
        Assert.Equal("node", FindRemote(key)?.Class);
        Assert.Single(_logger.Entries);

        _fails = false;
        _own.Clear();
        Refresh();

        Assert.Equal("pods", FindRemote(key)?.Class);
    }

    private void Refresh() => _ends.Refresh(Now, Steady);

    /// <param name="last">The last packet, in seconds after the reading.</param>
    private RecordEnd? FindRemote(FlowKey key, double last = 0) => _ends.FindRemote(key, Steady + TimeSpan.FromSeconds(last), out _);

    private (string Kind, string Namespace, string Name) FindPeer(FlowKey key, double last = 0) => _ends.FindPeer(key, Steady + TimeSpan.FromSeconds(last));

    /// <param name="bornAfter">Seconds after the reading; null: it may be as old as the boot.</param>
    private PodInterface Add(int ifindex, string address, string pod, string workload = "web", int? bornAfter = null)
    {
        var born = Now + TimeSpan.FromSeconds(bornAfter ?? -100);
        var owner = new PodInterface(new(ifindex, $"veth{ifindex}", "veth", 0, 0, null), generation: ifindex, seenAt: born) { BornAfter = bornAfter is null ? null : born };
        owner.Addresses = [IPAddress.Parse(address)];
        owner.Pod = new("shop", pod, new("shop", pod)) { Workload = workload, WorkloadKind = "Deployment" };
        _pods.Current = _pods.Current.SetItem(ifindex, owner);
        return owner;
    }

    /// <summary>The API server has these addresses of the interface's pod.</summary>
    private static PodInterface Claim(PodInterface owner, params string[] addresses)
    {
        owner.Pod = owner.Pod! with { Addresses = [.. addresses.Select(IPAddress.Parse)] };
        return owner;
    }

    /// <summary>The pod gives itself an address.</summary>
    private static PodInterface Take(PodInterface owner, string address, bool isInner)
    {
        owner.Addresses = [.. owner.Addresses, IPAddress.Parse(address)];
        owner.InnerAddresses = isInner ? [.. owner.InnerAddresses, IPAddress.Parse(address)] : owner.InnerAddresses;
        return owner;
    }

    private static FlowKey Key(string local, ushort localPort, string remote, ushort remotePort)
    {
        var (from, to) = (IPAddress.Parse(local).GetAddressBytes(), IPAddress.Parse(remote).GetAddressBytes());
        var key = new FlowKey
        {
            Ifindex = 9,
            Family = from.Length == 4 ? FlowKey.Ipv4 : FlowKey.Ipv6,
            Protocol = 6,
            LocalPort = BinaryPrimitives.ReverseEndianness(localPort),
            RemotePort = BinaryPrimitives.ReverseEndianness(remotePort),
        };
        from.CopyTo((Span<byte>)key.Local);
        to.CopyTo((Span<byte>)key.Remote);
        return key;
    }
}
