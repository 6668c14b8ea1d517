using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>rtnetlink's answers and events about links, against what `ip` says of the same.</summary>
public sealed class LinkClientTests : IDisposable
{
    private const int Unknown = 0x7fff_0000;

    private readonly LinkClient _client = new();
    private readonly List<string> _links = [];

    public void Dispose()
    {
        _client.Dispose();
        _links.ForEach(link => Shell.TryRun("ip", "link", "delete", link));
    }

    [Fact]
    public void A_veth_into_a_namespace_shows_its_kind_its_peer_and_the_peers_namespace()
    {
        using var pod = new Pod();
        var expected = Describe(pod.Interface);
        Assert.NotNull(expected.PeerNamespaceId);

        Assert.Equal(expected, _client.GetLinks().Single(link => link.Ifindex == pod.Ifindex));
        Assert.Equal(expected, _client.GetLink(pod.Ifindex));
        Assert.Equal("veth", expected.Kind);
    }

    [Fact]
    public void A_veth_within_one_namespace_shows_no_peer_namespace()
    {
        AddLink("pntroute0 type veth peer name pntroute1");

        var links = _client.GetLinks();

        var (first, second) = (links.Single(link => link.Name == "pntroute0"), links.Single(link => link.Name == "pntroute1"));
        Assert.Equal((second.Ifindex, first.Ifindex), (first.PeerIfindex, second.PeerIfindex));
        Assert.Null(first.PeerNamespaceId);
        Assert.Equal(Describe("pntroute0"), first);
    }

    [Fact]
    public void Pods_in_different_namespaces_have_different_ids()
    {
        using var first = new Pod();
        using var second = new Pod();

        Assert.NotEqual(_client.GetLink(first.Ifindex)!.PeerNamespaceId, _client.GetLink(second.Ifindex)!.PeerNamespaceId);
    }

    [Fact]
    public void Other_links_show_their_kind_and_no_peer()
    {
        AddLink("pntbridge type bridge");

        var bridge = _client.GetLinks().Single(link => link.Name == "pntbridge");

        Assert.Equal(Describe("pntbridge"), bridge);
        Assert.Equal(("bridge", 0), (bridge.Kind, bridge.PeerIfindex));
        var loopback = _client.GetLink(1)!;
        Assert.Equal(new Link(1, "lo", "", 0, 0, null), loopback);
    }

    [Fact]
    public void All_links_are_listed_even_if_they_take_several_datagrams()
    {
        const int Pairs = 100;
        for (var i = 0; i < Pairs; i++)
        {
            AddLink($"pntmany{i} type veth peer name pntpeer{i}");
        }

        var names = _client.GetLinks().Select(link => link.Name).ToHashSet();

        for (var i = 0; i < Pairs; i++)
        {
            Assert.Contains($"pntmany{i}", names);
            Assert.Contains($"pntpeer{i}", names);
        }
    }

    [Fact]
    public void A_link_that_does_not_exist_is_null_and_does_no_harm_to_the_next_question()
    {
        Assert.Null(_client.GetLink(Unknown));
        Assert.Null(_client.GetLink("pntnone"));
        Assert.Equal("lo", _client.GetLink(1)!.Name);
        Assert.Equal(1, _client.GetLink("lo")!.Ifindex);
    }

    [Fact]
    public void A_deleted_link_is_null()
    {
        AddLink("pntroute0 type veth peer name pntroute1");
        var ifindex = _client.GetLinks().Single(link => link.Name == "pntroute0").Ifindex;

        Shell.Ip("link delete pntroute0");

        Assert.Null(_client.GetLink(ifindex));
        Assert.DoesNotContain(_client.GetLinks(), link => link.Ifindex == ifindex);
    }

    [Fact]
    public void The_addresses_of_another_namespace_are_listed_without_entering_it()
    {
        using var pod = new Pod().Up();
        using var other = new Pod().Up();
        pod.Namespace.Ip("addr add 192.0.2.7 peer 192.0.2.8 dev eth0");
        pod.Namespace.Ip("addr add 2001:db8::7/128 dev lo nodad");
        var id = _client.GetLink(pod.Ifindex)!.PeerNamespaceId!.Value;

        var addresses = _client.GetAddresses(id);

        var expected = AddressesOf(pod.Namespace);
        Assert.Equal(expected, addresses.Select(address => (address.Ifindex, address.Address.ToString())).ToHashSet());
        var eth0 = _client.GetLink(pod.Ifindex)!.PeerIfindex;
        foreach (var address in (IPAddress[])[pod.Address, pod.Address6, IPAddress.Parse("192.0.2.7")])
        {
            Assert.Contains(new LinkAddress(eth0, address), addresses);
        }
        Assert.Contains(addresses, address => address.Address.Equals(IPAddress.Parse("2001:db8::7")));
    }

    [Fact]
    public void The_addresses_of_this_namespace_are_listed_without_those_behind_its_interfaces()
    {
        using var pod = new Pod().Up();

        var addresses = _client.GetAddresses();

        Assert.All((IPAddress[])[pod.HostAddress, pod.HostAddress6], address => Assert.Contains(new LinkAddress(pod.Ifindex, address), addresses));
        Assert.Contains(addresses, address => address.Address.Equals(IPAddress.Loopback));
        Assert.DoesNotContain(addresses, address => address.Address.Equals(pod.Address) || address.Address.Equals(pod.Address6));
    }

    [Fact]
    public void A_namespace_without_addresses_and_an_unknown_one_have_none()
    {
        using var pod = new Pod();
        pod.Namespace.Ip("link set lo down");
        pod.Namespace.Ip("addr flush dev lo");
        var id = _client.GetLink(pod.Ifindex)!.PeerNamespaceId!.Value;

        Assert.Empty(_client.GetAddresses(id));
        Assert.Empty(_client.GetAddresses(Unknown));
        Assert.Equal("lo", _client.GetLink(1)!.Name);
    }

    [Fact]
    public void A_namespaces_id_is_the_one_its_links_show()
    {
        using var pod = new Pod();
        using var file = File.OpenHandle($"/run/netns/{pod.Name}");

        Assert.NotNull(_client.GetNamespaceId(file));
        Assert.Equal(_client.GetLink(pod.Ifindex)!.PeerNamespaceId, _client.GetNamespaceId(file));
    }

    [Fact]
    public void A_namespace_that_nothing_links_to_has_no_id()
    {
        using var ns = new NetworkNamespace("lonely");
        using var file = File.OpenHandle($"/run/netns/{ns.Name}");

        Assert.Null(_client.GetNamespaceId(file));
    }

    [Fact]
    public void A_file_that_is_no_network_namespace_has_no_id()
    {
        foreach (var path in (string[])["/proc/self/ns/uts", "/proc/self/status"])
        {
            using var file = File.OpenHandle(path);
            Assert.Null(_client.GetNamespaceId(file));
        }
    }

    [Fact]
    public void Statistics_equal_those_of_ip()
    {
        using var pod = new Pod().Up();
        // More one way than the other, and some that the interface itself drops: the pod's end takes no frames as long as these.
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 300, 100, fromPod: true);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 200, fromPod: false);
        pod.Namespace.Ip("link set eth0 mtu 1280");
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 7, 1400, fromPod: false);

        InterfaceCounters before, after;
        LinkStatistics statistics;
        do
        {
            before = pod.ReadCounters();
            statistics = _client.GetStatistics().Single(entry => entry.Ifindex == pod.Ifindex);
            after = pod.ReadCounters();
        }
        while (before != after);

        // The interface receives what the pod transmits.
        Assert.Equal(
            new LinkStatistics(
                pod.Ifindex, after.TransmittedPackets, after.ReceivedPackets, after.TransmittedBytes, after.ReceivedBytes, after.ReceiveDropped),
            statistics);
        Assert.True(statistics.ReceivedPackets >= 300 && statistics.TransmittedPackets >= 100 && statistics.TransmitDropped >= 7, $"{statistics}");
    }

    [Fact]
    public void Statistics_are_of_the_links_that_there_are()
    {
        using var pod = new Pod();

        Assert.Contains(_client.GetStatistics(), entry => entry.Ifindex == 1);
        Assert.Equal(new LinkStatistics { Ifindex = pod.Ifindex }, _client.GetStatistics().Single(entry => entry.Ifindex == pod.Ifindex));
    }

    [Fact]
    public void A_link_that_comes_is_renamed_and_goes_is_told_in_this_order()
    {
        using var monitor = new LinkMonitor();

        AddLink("pntroute0 type veth peer name pntroute1");
        var ifindex = _client.GetLinks().Single(link => link.Name == "pntroute0").Ifindex;
        Rename("pntroute0", "pntrenamed");
        Shell.Ip("link delete pntrenamed");

        var events = ReceiveUntil(monitor, route => route is LinkRemoved(var link) && link.Ifindex == ifindex);
        var mine = events.Where(route => LinkOf(route)?.Ifindex == ifindex).ToList();
        Assert.Equal(
            ["changed pntroute0", "changed pntrenamed", "removed pntrenamed"],
            Squeeze(mine.Select(route => $"{(route is LinkRemoved ? "removed" : "changed")} {LinkOf(route)!.Name}")));
        Assert.Equal("veth", LinkOf(mine[0])!.Kind);
    }

    [Fact]
    public void A_link_that_moves_to_another_namespace_is_removed_and_comes_back_as_changed()
    {
        using var ns = new NetworkNamespace("target");
        AddLink("pntroute0 type veth peer name pntroute1");
        using var monitor = new LinkMonitor();
        var ifindex = _client.GetLinks().Single(link => link.Name == "pntroute0").Ifindex;

        Shell.Ip($"link set pntroute0 netns {ns.Name}");
        ReceiveUntil(monitor, route => route is LinkRemoved(var link) && link.Ifindex == ifindex);
        Assert.Null(_client.GetLink(ifindex));

        // What happens to it there is no event of this namespace, whose interface of the same index may be another.
        ns.Ip("link set pntroute0 name pntaway");
        ns.Ip("link set pntaway name pntback");
        ns.Ip($"link set pntback netns {Environment.ProcessId}");
        Rename("pntback", "pnthome");

        var names = ReceiveUntil(monitor, route => route is LinkChanged(var link) && link.Name == "pnthome").Select(route => LinkOf(route)?.Name).ToList();
        Assert.Contains("pntback", names);
        Assert.DoesNotContain("pntaway", names);
    }

    [Fact]
    public void A_port_that_leaves_its_bridge_is_not_removed()
    {
        AddLink("pntbridge type bridge");
        AddLink("pntroute0 type veth peer name pntroute1");
        Shell.Ip("link set pntroute0 master pntbridge");
        using var monitor = new LinkMonitor();

        Shell.Ip("link set pntroute0 nomaster");
        Rename("pntroute0", "pntrenamed");

        var events = ReceiveUntil(monitor, route => LinkOf(route)?.Name == "pntrenamed");
        Assert.DoesNotContain(events, route => route is LinkRemoved(var link) && link.Name.StartsWith("pntr", StringComparison.Ordinal));
    }

    [Fact]
    public void A_wait_without_events_times_out()
    {
        using var monitor = new LinkMonitor();
        var events = new List<LinkEvent>();

        while (monitor.Receive(events, TimeSpan.Zero) == LinkWait.Events)
        {
            events.Clear();
        }

        Assert.Equal(LinkWait.TimedOut, monitor.Receive([], TimeSpan.Zero));
        Assert.Empty(events);
    }

    [Fact]
    public void Stop_ends_a_wait_and_every_later_one()
    {
        using var monitor = new LinkMonitor();
        var result = default(LinkWait?);
        var start = Stopwatch.GetTimestamp();
        var thread = new Thread(() =>
        {
            do
            {
                result = monitor.Receive([], Silence.Limit);
            }
            while (result == LinkWait.Events && Stopwatch.GetElapsedTime(start) < Silence.Limit);
        });
        thread.Start();

        monitor.Stop();

        thread.Join();
        Assert.Equal(LinkWait.Stopped, result);
        Assert.Equal(LinkWait.Stopped, monitor.Receive([], Silence.Limit));
    }

    [Fact]
    public void A_burst_that_the_buffer_cannot_hold_is_an_overrun_and_events_flow_again_afterwards()
    {
        AddLink("pntroute0 type veth peer name pntroute1");
        using var monitor = new LinkMonitor(receiveBuffer: 1);
        for (var i = 0; i < 20; i++)
        {
            Shell.Ip($"link set pntroute0 mtu {1000 + i}");
        }

        var waits = new List<LinkWait>();
        var events = new List<LinkEvent>();
        do
        {
            waits.Add(monitor.Receive(events, TimeSpan.Zero));
        }
        while (waits[^1] != LinkWait.TimedOut);
        Assert.Equal(1, waits.Count(wait => wait == LinkWait.Overrun));
        Assert.True(events.Count < 20, $"{events.Count} events");

        Rename("pntroute0", "pntrenamed");
        ReceiveUntil(monitor, route => route is LinkChanged(var link) && link.Name == "pntrenamed");
    }

    private static List<LinkEvent> ReceiveUntil(LinkMonitor monitor, Predicate<LinkEvent> last)
    {
        var events = new List<LinkEvent>();
        for (var start = Stopwatch.GetTimestamp(); ;)
        {
            var wait = monitor.Receive(events, Silence.Limit);
            if (events.FindIndex(last) is >= 0 and var index)
            {
                return events[..(index + 1)];
            }
            if (wait != LinkWait.Events || Stopwatch.GetElapsedTime(start) > Silence.Limit)
            {
                Assert.Fail($"The wait ended with {wait} before the event came:\n{string.Join('\n', events)}");
            }
        }
    }

    /// <summary>One of each row of equals: the kernel tells of some changes more than once.</summary>
    private static List<T> Squeeze<T>(IEnumerable<T> items)
    {
        var squeezed = new List<T>();
        foreach (var item in items)
        {
            if (squeezed.Count == 0 || !Equals(squeezed[^1], item))
            {
                squeezed.Add(item);
            }
        }
        return squeezed;
    }

    private static Link? LinkOf(LinkEvent route) => route switch
    {
        LinkChanged(var link) => link,
        LinkRemoved(var link) => link,
        _ => null,
    };

    /// <summary>The link as `ip` describes it.</summary>
    private static Link Describe(string name)
    {
        using var json = JsonDocument.Parse(Shell.Run("ip", "-d", "-j", "link", "show", "dev", name));
        var link = json.RootElement[0];
        return new(
            link.GetProperty("ifindex").GetInt32(),
            link.GetProperty("ifname").GetString()!,
            link.GetProperty("linkinfo").GetProperty("info_kind").GetString()!,
            Convert.ToUInt64(link.GetProperty("address").GetString()!.Replace(":", "", StringComparison.Ordinal), 16),
            // A peer in the same namespace is shown by its name.
            link.TryGetProperty("link_index", out var index) ? index.GetInt32() : link.TryGetProperty("link", out var peer) ? IfindexOf(peer.GetString()!) : 0,
            link.TryGetProperty("link_netnsid", out var id) ? id.GetInt32() : null);
    }

    private static int IfindexOf(string name) => int.Parse(File.ReadAllText($"/sys/class/net/{name}/ifindex"), CultureInfo.InvariantCulture);

    private static HashSet<(int Ifindex, string Address)> AddressesOf(NetworkNamespace ns)
    {
        using var json = JsonDocument.Parse(ns.Ip("-j addr show"));
        return
        [
            .. from link in json.RootElement.EnumerateArray()
               from address in link.GetProperty("addr_info").EnumerateArray()
               select (link.GetProperty("ifindex").GetInt32(), address.GetProperty("local").GetString()!),
        ];
    }

    private void Rename(string link, string name)
    {
        Shell.Ip($"link set {link} name {name}");
        _links.Add(name);
    }

    private void AddLink(string arguments)
    {
        Shell.Ip($"link add {arguments}");
        _links.Add(arguments.Split(' ')[0]);
    }
}
