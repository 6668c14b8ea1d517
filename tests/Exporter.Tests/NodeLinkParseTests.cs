using Exporter.Bpf.Netlink;
using static Exporter.Tests.Support.NetlinkBytes;

namespace Exporter.Tests;

/// <summary>A node's own interfaces and their drops as linux/if_link.h numbers their attributes.</summary>
public sealed class NodeLinkParseTests
{
    private const int IflaName = 3;
    private const int IflaMtu = 4;
    private const int IflaLink = 5;
    private const int IflaMaster = 10;
    private const int IflaLinkInfo = 18;
    private const int IflaReceiveQueues = 32;
    private const int IflaLinkNamespaceId = 37;
    private const int IflaXdp = 43;
    private const int IflaPermanentAddress = 54;
    private const int InfoKind = 1;
    private const int InfoSlaveKind = 4;
    private const int XdpAttached = 2;
    private const int XdpProgram = 4;
    private const int XdpDriverProgram = 5;
    private const int XdpGenericProgram = 6;
    private const int Nested = 0x8000;

    private static readonly byte[] BondPort =
    [
        .. IfInfo(0, 2),
        .. Attribute(IflaName, "eth0"),
        .. Attribute(IflaMtu, 9000),
        .. Attribute(IflaMaster, 5),
        .. Attribute(IflaReceiveQueues, 16),
        .. Attribute(IflaXdp | Nested, [.. Attribute(XdpDriverProgram, 44), .. Attribute(XdpAttached, [1]), .. Attribute(XdpProgram, 44)]),
        .. Attribute(IflaLinkInfo | Nested, [.. Attribute(InfoSlaveKind, "bond"), .. Attribute(5, [1, 2, 3])]),
        .. Attribute(IflaPermanentAddress, [0x0a, 0x58, 0x0a, 0xf4, 0x00, 0x07]),
    ];

    [Fact]
    public void A_port_of_a_bond_is_read_whole() =>
        Assert.Equal(
            new NodeLink(2, "eth0", "")
            {
                Mtu = 9000,
                IsUp = true,
                IsRunning = true,
                Master = 5,
                PermanentAddress = 0x0a580af40007,
                ReceiveQueues = 16,
                Xdp = new(XdpMode.Native, 44),
            },
            Parse(BondPort));

    [Fact]
    public void A_link_without_attributes_has_an_index_and_flags_only() => Assert.Equal(new NodeLink(7, "", "") { IsUp = true, IsRunning = true }, Parse(IfInfo(0, 7)));

    [Theory]
    [InlineData(0x0, false, false, false)]
    [InlineData(0x1, true, false, false)]
    [InlineData(0x8, false, false, true)]
    [InlineData(0x49, true, true, true)]
    [InlineData(0x1042, false, true, false)]
    public void The_flags_say_up_running_and_loopback(int flags, bool isUp, bool isRunning, bool isLoopback)
    {
        var message = IfInfo(0, 7);
        BitConverter.TryWriteBytes(message.AsSpan(8), flags);

        Assert.Equal(new NodeLink(7, "", "") { IsUp = isUp, IsRunning = isRunning, IsLoopback = isLoopback }, Parse(message));
    }

    /// <summary>linux/if_arp.h: Ethernet, loopback, PPP, InfiniBand, a tunnel, and none, as of TUN and WireGuard.</summary>
    [Theory]
    [InlineData(1, true)]
    [InlineData(772, true)]
    [InlineData(512, false)]
    [InlineData(32, false)]
    [InlineData(768, false)]
    [InlineData(65534, false)]
    public void The_type_says_whether_frames_have_an_Ethernet_header(ushort type, bool isEthernet)
    {
        var message = IfInfo(0, 7);
        BitConverter.TryWriteBytes(message.AsSpan(2), type);

        Assert.Equal(isEthernet, Parse(message)?.IsEthernet);
    }

    [Fact]
    public void The_reports_of_a_bridge_about_its_ports_are_no_links() => Assert.Null(Parse([.. IfInfo(7, 7), .. Attribute(IflaName, "veth7")]));

    [Fact]
    public void The_kind_of_the_master_is_not_the_kind() =>
        Assert.Equal(
            new NodeLink(7, "", "vlan") { IsUp = true, IsRunning = true },
            Parse([.. IfInfo(0, 7), .. Attribute(IflaLinkInfo, [.. Attribute(InfoKind, "vlan"), .. Attribute(InfoSlaveKind, "bridge")])]));

    /// <summary>InfiniBand's has 20 bytes.</summary>
    [Fact]
    public void A_permanent_address_that_is_longer_than_a_number_is_none() =>
        Assert.Equal(0ul, Parse([.. IfInfo(0, 7), .. Attribute(IflaPermanentAddress, [.. Enumerable.Repeat((byte)0xfe, 20)])])?.PermanentAddress);

    [Theory]
    [InlineData(0, XdpMode.None, 0)]
    [InlineData(1, XdpMode.Native, 44)]
    [InlineData(2, XdpMode.Generic, 44)]
    [InlineData(3, XdpMode.Offloaded, 44)]
    [InlineData(4, XdpMode.Several, 44)]
    [InlineData(5, XdpMode.None, 0)]
    public void The_mode_of_XDP_is_as_the_kernel_numbers_it(byte attached, XdpMode mode, int program) =>
        Assert.Equal(new XdpState(mode, program), ParseXdp([.. Attribute(XdpAttached, [attached]), .. Attribute(XdpProgram, 44)]));

    [Fact]
    public void Of_several_programs_the_drivers_counts_and_then_the_generic_one()
    {
        byte[] several = [.. Attribute(XdpGenericProgram, 6), .. Attribute(XdpAttached, [4])];

        Assert.Equal(new XdpState(XdpMode.Several, 6), ParseXdp(several));
        Assert.Equal(new XdpState(XdpMode.Several, 5), ParseXdp([.. several, .. Attribute(XdpDriverProgram, 5)]));
    }

    [Fact]
    public void Damaged_attributes_never_make_a_link_unreadable()
    {
        var random = new Random(5);
        for (var round = 0; round < 20_000; round++)
        {
            byte[] bytes = [.. BondPort];
            for (var i = random.Next(1, 8); i > 0; i--)
            {
                bytes[random.Next(16, bytes.Length)] = (byte)random.Next(256);
            }

            Assert.Equal(2, Parse(bytes[..random.Next(16, bytes.Length)])?.Ifindex);
            Assert.Equal(2, Parse(bytes)?.Ifindex);
        }
    }

    /// <summary>struct rtnl_link_stats64 has 25 counters since Linux 5.19; 24 since 4.6; 23 before.</summary>
    [Theory]
    [InlineData(25, 15, 14, 4, 23, 6)]
    [InlineData(24, 15, 14, 4, 23, 6)]
    [InlineData(23, 15, 14, 4, 0, 6)]
    [InlineData(8, 0, 0, 4, 0, 6)]
    [InlineData(0, 0, 0, 0, 0, 0)]
    public void Drops_are_read_and_counters_that_an_older_kernel_lacks_are_zero(
        int counters, ulong missed, ulong noBuffer, ulong errors, ulong noHandler, ulong backlog)
    {
        // Each counter is its own place.
        byte[] statistics = [.. Enumerable.Range(0, counters).SelectMany(i => BitConverter.GetBytes((ulong)i))];

        Assert.Equal(new LinkDrops(missed, noBuffer, errors, noHandler, backlog), ParseDrops([.. new byte[12], .. Attribute(1, statistics)]));
    }

    [Fact]
    public void An_answer_without_counters_has_no_drops() => Assert.Null(ParseDrops([.. new byte[12], .. Attribute(2, new byte[64])]));

    private static NodeLink? Parse(byte[] payload) => NodeLink.Parse(new NetlinkMessage(16, 0, 0, payload));

    private static XdpState ParseXdp(byte[] nested) => Parse([.. IfInfo(0, 7), .. Attribute(IflaXdp | Nested, nested)])!.Xdp;

    private static LinkDrops? ParseDrops(byte[] payload) => LinkDrops.Parse(new NetlinkMessage(92, 0, 0, payload));
}
