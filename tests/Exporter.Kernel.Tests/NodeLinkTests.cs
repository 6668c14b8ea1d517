using System.Text.Json;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The facts about a node's own interfaces, against what `ip` says of the same.</summary>
public sealed class NodeLinkTests : IDisposable
{
    private const int Unknown = 0x7fff_0000;

    private readonly NetworkNamespace _node = new("node");
    private readonly LinkClient _client;

    public NodeLinkTests()
    {
        _client = _node.Run(() => new LinkClient());
        _node.Ip("link add eth0 mtu 1450 numrxqueues 3 type veth peer name wire0");
        _node.Ip("link add eth1 type veth peer name wire1");
    }

    public void Dispose()
    {
        _client.Dispose();
        _node.Dispose();
    }

    [Fact]
    public void An_interface_shows_its_mtu_and_its_queues()
    {
        var link = Find("eth0");

        Assert.Equal(Describe("eth0"), link);
        Assert.Equal(("veth", 1450, 3), (link.Kind, link.Mtu, link.ReceiveQueues));
    }

    [Fact]
    public void An_interface_is_up_while_it_is_set_up()
    {
        Assert.False(Find("eth0").IsUp);
        _node.Ip("link set eth0 up");
        Assert.True(Find("eth0").IsUp);
        Assert.Equal(Describe("eth0"), Find("eth0"));
    }

    [Fact]
    public void The_loopback_interface_is_one_and_no_other_is()
    {
        var loopback = Find("lo");

        Assert.Equal(new NodeLink(1, "lo", "") { Mtu = 65536, IsUp = true, IsRunning = true, IsLoopback = true, ReceiveQueues = 1 }, loopback);
        Assert.Equal(loopback, Assert.Single(_client.GetNodeLinks(), link => link.IsLoopback));
    }

    [Fact]
    public void A_link_that_does_not_exist_is_null_and_does_no_harm_to_the_next_question()
    {
        Assert.Null(_client.GetDrops(Unknown));
        Assert.Equal("lo", _client.GetNodeLinks()[0].Name);
    }

    [Fact]
    public void A_port_of_a_bridge_shows_its_master_until_it_leaves()
    {
        _node.Ip("link add bridge0 type bridge");
        _node.Ip("link set eth0 master bridge0");

        Assert.Equal(Find("bridge0").Ifindex, Find("eth0").Master);
        Assert.Equal(Describe("eth0"), Find("eth0"));
        Assert.Equal(("bridge", 0), (Find("bridge0").Kind, Find("bridge0").Master));

        _node.Ip("link set eth0 nomaster");
        Assert.Equal(0, Find("eth0").Master);
    }

    [Fact]
    public void The_ports_of_a_bond_show_it_as_their_master()
    {
        AddOrSkip("link add bond0 type bond mode active-backup");
        _node.Ip("link set eth0 master bond0");
        _node.Ip("link set eth1 master bond0");

        var bond = Find("bond0");

        Assert.Equal(("bond", 0), (bond.Kind, bond.Master));
        foreach (var name in (string[])["eth0", "eth1"])
        {
            Assert.Equal(bond.Ifindex, Find(name).Master);
            Assert.Equal(Describe(name), Find(name));
        }
    }

    [Fact]
    public void A_virtual_interface_has_no_permanent_address_even_if_it_was_given_one()
    {
        _node.Ip("link set eth0 address 02:00:00:00:00:07");

        Assert.Equal((0ul, 0ul), (Find("eth0").PermanentAddress, Find("eth1").PermanentAddress));
    }

    [Theory]
    [InlineData("xdpgeneric", XdpMode.Generic)]
    [InlineData("xdpdrv", XdpMode.Native)]
    public void An_XDP_program_shows_its_mode_and_its_id(string option, XdpMode mode)
    {
        Assert.Equal(default, Find("eth1").Xdp);

        using (new ForeignXdp("eth1", option, _node))
        {
            var xdp = Find("eth1").Xdp;
            Assert.Equal(mode, xdp.Mode);
            Assert.NotEqual(0, xdp.ProgramId);
            Assert.Equal(Describe("eth1"), Find("eth1"));
        }

        Assert.Equal(default, Find("eth1").Xdp);
    }

    [Fact]
    public void A_frame_of_an_unknown_protocol_is_a_drop_of_the_network_stack()
    {
        // Without IPv6, which would have frames of its own.
        _node.Ip("link set eth0 addrgenmode none up");
        _node.Ip("link set wire0 addrgenmode none up");
        var ifindex = Find("eth0").Ifindex;
        using var wire = FrameSocket.Open(_node, "wire0");
        var before = _client.GetDrops(ifindex)!.Value;

        // To all, of an EtherType for experiments (IEEE 802).
        wire.Send([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x88, 0xb5, .. new byte[46]]);

        Assert.True(SpinWait.SpinUntil(() => _client.GetDrops(ifindex) != before, Silence.Limit));
        Assert.Equal(before with { Backlog = before.Backlog + 1 }, _client.GetDrops(ifindex));
        Assert.Equal(default(LinkDrops), _client.GetDrops(Find("eth1").Ifindex));
    }

    [Fact]
    public void A_driver_names_itself()
    {
        Assert.Equal("veth", Driver("eth0"));
        Assert.Equal("", Driver("lo"));
        Assert.Equal("", Driver("nothere"));
        Assert.Equal("", Driver("a name of an interface that cannot be"));
        Assert.Equal("", Driver(""));
    }

    [Fact]
    public void Large_receive_offload_is_off_or_unknown()
    {
        Assert.False(_node.Run(() => Ethtool.HasLargeReceiveOffload("eth0")));
        Assert.Null(_node.Run(() => Ethtool.HasLargeReceiveOffload("nothere")));
    }

    private string Driver(string name) => _node.Run(() => Ethtool.FindDriver(name));

    private NodeLink Find(string name) => _client.GetNodeLinks().Single(link => link.Name == name);

    private void AddOrSkip(string line)
    {
        var (exitCode, _, error) = Shell.TryRun("ip", ["-n", _node.Name, .. line.Split(' ')]);
        Assert.SkipWhen(error.Contains("Unknown device type", StringComparison.Ordinal), $"this kernel cannot: ip {line}");
        Assert.True(exitCode == 0, error);
    }

    /// <summary>The link as `ip` describes it.</summary>
    private NodeLink Describe(string name)
    {
        using var json = JsonDocument.Parse(_node.Ip($"-d -j link show dev {name}"));
        var link = json.RootElement[0];
        var flags = link.GetProperty("flags").EnumerateArray().Select(flag => flag.GetString()!).ToHashSet();
        var info = link.GetProperty("linkinfo");
        return new(link.GetProperty("ifindex").GetInt32(), link.GetProperty("ifname").GetString()!, info.GetProperty("info_kind").GetString()!)
        {
            Mtu = link.GetProperty("mtu").GetInt32(),
            IsUp = flags.Contains("UP"),
            // Of one that is up.
            IsRunning = flags.Contains("UP") && !flags.Contains("NO-CARRIER"),
            Master = link.TryGetProperty("master", out var master) ? Ifindex(master.GetString()!) : 0,
            ReceiveQueues = link.GetProperty("num_rx_queues").GetInt32(),
            Xdp = link.TryGetProperty("xdp", out var xdp)
                ? new((XdpMode)xdp.GetProperty("mode").GetInt32(), xdp.GetProperty("prog").GetProperty("id").GetInt32())
                : default,
        };
    }

    private int Ifindex(string name)
    {
        using var json = JsonDocument.Parse(_node.Ip($"-j link show dev {name}"));
        return json.RootElement[0].GetProperty("ifindex").GetInt32();
    }
}
