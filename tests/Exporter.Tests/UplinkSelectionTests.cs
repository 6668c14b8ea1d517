using Exporter.Bpf.Netlink;
using Exporter.Signals.Uplinks;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

/// <summary>Which interfaces the options mean.</summary>
public sealed class UplinkSelectionTests
{
    private static readonly NodeLink[] Links =
    [
        new(1, "lo", "") { IsLoopback = true },
        new(2, "eth0", "") { Master = 6 },
        new(3, "eth1", "") { Master = 6 },
        new(4, "ens5", ""),
        new(5, "br0", "bridge"),
        new(6, "bond0", "bond"),
        new(7, "tap0", "tun") { Master = 5 },
        new(8, "ens5.100", "vlan"),
        new(9, "team0", "team") { Master = 10 },
        new(10, "bond1", "bond"),
        new(11, "ens6", "") { Master = 9 },
        new(12, "bond2", "bond"),
        new(13, "wg0", "wireguard") { IsEthernet = false },
        new(14, "ppp0", "ppp") { IsEthernet = false },
        new(15, "bond3", "bond") { IsEthernet = false },
        new(16, "ib0", "") { Master = 15, IsEthernet = false },
    ];

    [Theory]
    [InlineData("ens5", "ens5")]
    [InlineData("ens5;nothere", "ens5")]
    [InlineData("ens*", "ens5 ens5.100 ens6")]
    [InlineData("eth?", "eth0 eth1")]
    [InlineData("ETH0", "")]
    [InlineData("bond0", "eth0 eth1")]
    [InlineData("bond0;eth0", "eth0 eth1")]
    [InlineData("bond1", "ens6")]
    [InlineData("bond2", "bond2")]
    [InlineData("br0", "br0")]
    [InlineData("*", "eth0 eth1 ens5 br0 tap0 ens5.100 ens6 bond2")]
    [InlineData("lo", "lo")]
    [InlineData("auto", "")]
    public void Names_mean_these(string names, string chosen) => Assert.Equal(chosen, Choose(names));

    [Theory]
    [InlineData("ens5", 4)]
    [InlineData("eth0 eth1", 6)]
    [InlineData("br0", 5)]
    [InlineData("ens5.100", 8)]
    [InlineData("eth0 eth1 ens5", 6, 4)]
    [InlineData("", 99)]
    public void Auto_means_the_interfaces_of_the_default_routes(string chosen, params int[] defaults) => Assert.Equal(chosen, Choose("auto", defaults));

    /// <summary>Their packets begin with the IP header, which would be read as a frame's addresses.</summary>
    [Theory]
    [InlineData("wg0", "", "wg0")]
    [InlineData("wg0;ens5", "ens5", "wg0")]
    [InlineData("*", "eth0 eth1 ens5 br0 tap0 ens5.100 ens6 bond2", "wg0 ppp0 ib0")]
    [InlineData("auto", "ens5", "ppp0")]
    [InlineData("bond3", "", "ib0")]
    public void Interfaces_without_Ethernet_headers_are_named_and_not_counted(string names, string chosen, string others)
    {
        var choice = UplinkSelection.Choose(Options(names), Links, new HashSet<int> { 4, 14 });

        Assert.Equal((chosen, others), (NamesOf(choice.Counted), NamesOf(choice.WithoutEthernet)));
    }

    [Fact]
    public void Auto_and_names_are_added_up() => Assert.Equal("ens5 ens6", Choose("ens6;auto", 4));

    [Fact]
    public void Bonds_that_are_each_other_s_slaves_end()
    {
        NodeLink[] circle = [new(1, "a", "bond") { Master = 2 }, new(2, "b", "bond") { Master = 1 }];

        Assert.Single(UplinkSelection.Choose(Options("a"), circle, new HashSet<int>()).Counted);
    }

    [Theory]
    [InlineData("eth0/1")]
    [InlineData("eth 0")]
    [InlineData("a-name-that-is-too-long")]
    public void What_no_interface_can_be_called_is_refused(string name) =>
        Assert.Contains(TestOptions.ErrorsOf(("Uplinks:Interfaces", $"eth0;{name}")), error => error.StartsWith("Uplinks:Interfaces: ", StringComparison.Ordinal) && error.Contains($"'{name}'", StringComparison.Ordinal));

    [Theory]
    [InlineData("tcx", "Tcx")]
    [InlineData("xdp", "Xdp")]
    [InlineData("xdp-generic", "XdpGeneric")]
    public void Hooks_are_spelled_with_hyphens(string text, string hook) => Assert.Equal(hook, Options("eth0", text).Hook.ToString());

    [Fact]
    public void Another_hook_is_refused() =>
        Assert.Contains(TestOptions.ErrorsOf(("Uplinks:Hook", "xdpgeneric")), error => error.Contains("is not one of tcx, xdp, xdp-generic", StringComparison.Ordinal));

    private static string Choose(string names, params int[] defaults) => NamesOf(UplinkSelection.Choose(Options(names), Links, defaults.ToHashSet()).Counted);

    private static string NamesOf(IEnumerable<NodeLink> links) => string.Join(' ', links.Select(link => link.Name));

    private static UplinkOptions Options(string names, string hook = "tcx") =>
        TestOptions.Read(("Uplinks:Interfaces", names), ("Uplinks:Hook", hook)).Signals.OfType<UplinkSignal>().Single().Options;

    /// <summary>As while the driver resets the link for XDP.</summary>
    [Fact]
    public void An_interface_that_loses_its_default_route_stays_for_a_while()
    {
        var time = new FakeTimeProvider();
        var defaults = new DefaultRoutes(TimeSpan.FromSeconds(60), time);
        Assert.Equal([4, 11], defaults.Take(new HashSet<int> { 4, 11 }, Links).Order());

        time.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal([4, 11], defaults.Take(new HashSet<int> { 11 }, Links).Order());
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([11], defaults.Take(new HashSet<int>(), Links));
        Assert.Equal([4, 11], defaults.Take(new HashSet<int> { 4 }, Links).Order());
    }

    [Fact]
    public void Another_interface_with_the_index_of_one_that_had_a_default_route_is_none()
    {
        var defaults = new DefaultRoutes(TimeSpan.FromSeconds(60), new FakeTimeProvider());
        defaults.Take(new HashSet<int> { 4 }, Links);

        Assert.Empty(defaults.Take(new HashSet<int>(), [.. Links.Where(link => link.Ifindex != 4), new(4, "veth7", "veth")]));
    }

    [Fact]
    public void Without_a_reset_to_fear_it_goes_at_once()
    {
        var time = new FakeTimeProvider();
        var defaults = new DefaultRoutes(TimeSpan.Zero, time);
        Assert.Equal([4], defaults.Take(new HashSet<int> { 4 }, Links));

        Assert.Empty(defaults.Take(new HashSet<int>(), Links));
    }
}
