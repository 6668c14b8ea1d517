using System.Diagnostics;
using System.Runtime.InteropServices;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The interfaces of default routes, and the events of routes, of routes that `ip` makes.</summary>
public sealed class RouteClientTests : IDisposable
{
    private const int CLONE_NEWNET = 0x40000000;

    private readonly NetworkNamespace _node = new("node");
    private readonly RouteClient _routes;
    private readonly LinkClient _links;

    public RouteClientTests()
    {
        _routes = _node.Run(() => new RouteClient());
        _links = _node.Run(() => new LinkClient());
    }

    public void Dispose()
    {
        _routes.Dispose();
        _links.Dispose();
        _node.Dispose();
    }

    [Fact]
    public void A_node_without_default_routes_has_no_such_interface()
    {
        Assert.Empty(_routes.GetDefaultInterfaces());
        AddInterfaces();
        Assert.Empty(_routes.GetDefaultInterfaces());
    }

    /// <summary>Until a first interface is set up, a namespace does not have the table main at all.</summary>
    [Fact]
    public void A_namespace_in_which_nothing_was_ever_up_has_no_such_interface()
    {
        IReadOnlySet<int>? interfaces = null;
        var errno = 0;
        // The thread takes its namespace with it.
        var thread = new Thread(() =>
        {
            errno = unshare(CLONE_NEWNET) < 0 ? Marshal.GetLastPInvokeError() : 0;
            using var routes = new RouteClient();
            interfaces = Record(routes.GetDefaultInterfaces);
        });
        thread.Start();
        thread.Join();

        Assert.Equal(0, errno);
        Assert.Equal([], interfaces);
    }

    [Theory]
    [InlineData("route add default via 192.0.2.2")]
    [InlineData("route add default dev eth0 metric 50")]
    [InlineData("-6 route add default via fe80::1 dev eth0")]
    [InlineData("-6 route add default via 2001:db8::2")]
    [InlineData("route add default via inet6 fe80::1 dev eth0")]
    public void The_interface_of_a_default_route_is_found(string route) => AssertFound([route], "eth0");

    [Fact]
    public void IPv4_and_IPv6_may_leave_through_different_interfaces() =>
        AssertFound(["route add default via 192.0.2.2", "-6 route add default via fe80::1 dev eth1"], "eth0", "eth1");

    [Fact]
    public void Routes_of_a_lower_priority_count_as_well() =>
        AssertFound(["route add default via 192.0.2.2 metric 10", "route add default via 198.51.100.2 metric 20"], "eth0", "eth1");

    [Theory]
    [InlineData("route add default nexthop via 192.0.2.2 weight 3 nexthop via 198.51.100.2")]
    [InlineData("-6 route add default nexthop via fe80::1 dev eth0 nexthop via fe80::2 dev eth1")]
    public void All_next_hops_of_a_route_count(string route) => AssertFound([route], "eth0", "eth1");

    /// <summary>net.ipv4.nexthop_compat_mode: 1 is the kernel's own choice.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(0)]
    public void The_interfaces_of_next_hop_objects_are_found_whether_the_route_has_them_or_not(int compatibility)
    {
        _node.Exec("sh", "-c", $"echo {compatibility} > /proc/sys/net/ipv4/nexthop_compat_mode");
        AssertFound(["nexthop add id 5 via 192.0.2.2 dev eth0", "route add default nhid 5"], "eth0");
        AssertFound(
            ["route del default", "nexthop add id 6 via 198.51.100.2 dev eth1", "nexthop add id 7 group 5/6", "route add default nhid 7"], "eth0", "eth1");
        AssertFound(["route del default", "nexthop add id 8 via fe80::1 dev eth1", "-6 route add default nhid 8"], "eth1");
        AssertFound(["-6 route del default", "nexthop add id 9 blackhole", "route add default nhid 9"]);
    }

    [Theory]
    [InlineData("route add default via 192.0.2.2 table 100")]
    [InlineData("route add default via 192.0.2.2 table 1000")]
    [InlineData("-6 route add default via fe80::1 dev eth0 table 1000")]
    [InlineData("route add 0.0.0.0/1 via 192.0.2.2")]
    [InlineData("-6 route add 2000::/3 via fe80::1 dev eth0")]
    [InlineData("-6 route add default from 2001:db8::/64 via fe80::1 dev eth0")]
    [InlineData("route add blackhole default")]
    [InlineData("route add unreachable default")]
    [InlineData("-6 route add unreachable default")]
    [InlineData("route add default dev lo")]
    [InlineData("-6 route add default dev lo")]
    public void Other_routes_do_not_count(string route) => AssertFound([route]);

    [Fact]
    public void An_interface_that_is_set_down_has_no_default_route_any_more()
    {
        AssertFound(["route add default via 192.0.2.2", "route add default via 198.51.100.2 metric 20"], "eth0", "eth1");
        AssertFound(["link set eth0 down"], "eth1");
    }

    [Theory]
    [InlineData("route add default via 192.0.2.2", "route del default")]
    [InlineData("-6 route add default via fe80::1 dev eth0", "-6 route del default")]
    [InlineData("nexthop add id 5 dev eth0", "nexthop del id 5")]
    public void A_default_route_or_a_next_hop_that_comes_and_goes_is_an_event(string addition, string removal)
    {
        AddInterfaces();
        using var monitor = _node.Run(() => new LinkMonitor(withRoutes: true));

        foreach (var line in (string[])[addition, removal])
        {
            _node.Ip(line);
            Assert.Contains(new RoutesChanged(), EventsUntilMark(monitor));
        }
    }

    [Fact]
    public void Routes_to_less_than_everything_are_no_events()
    {
        AddInterfaces();
        using var monitor = _node.Run(() => new LinkMonitor(withRoutes: true));

        _node.Ip("route add 203.0.113.0/24 via 192.0.2.2");
        _node.Ip("-6 route add 2001:db8:7::/48 via fe80::1 dev eth0");

        Assert.DoesNotContain(new RoutesChanged(), EventsUntilMark(monitor));
    }

    [Fact]
    public void Routes_are_no_events_for_a_monitor_of_links()
    {
        AddInterfaces();
        using var monitor = _node.Run(() => new LinkMonitor());

        _node.Ip("route add default via 192.0.2.2");
        _node.Ip("nexthop add id 5 dev eth0");

        Assert.All(EventsUntilMark(monitor), change => Assert.IsType<LinkChanged>(change));
    }

    /// <summary>The kernel sends no message for an IPv4 route that goes with its interface.</summary>
    [Fact]
    public void A_route_that_goes_with_its_interface_is_an_event_of_the_interface()
    {
        AddInterfaces();
        _node.Ip("-6 addr flush dev eth0");
        _node.Ip("route add default via 192.0.2.2");
        using var monitor = _node.Run(() => new LinkMonitor(withRoutes: true));
        var ifindex = Ifindex("eth0");

        _node.Ip("link delete eth0");

        var events = EventsUntilMark(monitor);
        Assert.Contains(events, change => change is LinkRemoved(var link) && link.Ifindex == ifindex);
        Assert.DoesNotContain(new RoutesChanged(), events);
        Assert.Empty(_routes.GetDefaultInterfaces());
    }

    /// <summary>Two interfaces that are up, with an address of either family each.</summary>
    private void AddInterfaces()
    {
        foreach (var (name, subnet, peer) in (ReadOnlySpan<(string, string, string)>)[("eth0", "192.0.2.1/24", "wire0"), ("eth1", "198.51.100.1/24", "wire1")])
        {
            _node.Ip($"link add {name} type veth peer name {peer}");
            _node.Ip($"addr add {subnet} dev {name}");
            _node.Ip($"link set {peer} up");
            _node.Ip($"link set {name} up");
        }
        _node.Ip("addr add 2001:db8::1/64 dev eth0 nodad");
    }

    private void AssertFound(string[] lines, params string[] interfaces)
    {
        if (!_links.GetLinks().Exists(link => link.Name == "eth0"))
        {
            AddInterfaces();
        }
        foreach (var line in lines)
        {
            _node.Ip(line);
        }
        Assert.Equal(interfaces.Select(Ifindex).Order(), _routes.GetDefaultInterfaces().Order());
    }

    private int Ifindex(string name) => _links.GetLinks().Single(link => link.Name == name).Ifindex;

    /// <summary>An exception on the thread would end the process.</summary>
    private static T? Record<T>(Func<T> function)
        where T : class
    {
        try
        {
            return function();
        }
        catch (NetlinkException)
        {
            return null;
        }
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int unshare(int flags);

    /// <summary>The events before that of an interface that this makes.</summary>
    private List<LinkEvent> EventsUntilMark(LinkMonitor monitor)
    {
        var name = $"mark{Stopwatch.GetTimestamp() % 1_000_000_000}";
        _node.Ip($"link add {name} type bridge");
        var events = new List<LinkEvent>();
        for (var start = Stopwatch.GetTimestamp(); ;)
        {
            var wait = monitor.Receive(events, Silence.Limit);
            if (events.FindIndex(change => change is LinkChanged(var link) && link.Name == name) is >= 0 and var index)
            {
                return events[..index];
            }
            if (wait != LinkWait.Events || Stopwatch.GetElapsedTime(start) > Silence.Limit)
            {
                Assert.Fail($"The wait ended with {wait} before the mark:\n{string.Join('\n', events)}");
            }
        }
    }
}
