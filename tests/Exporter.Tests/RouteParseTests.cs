using Exporter.Bpf.Netlink;
using static Exporter.Tests.Support.NetlinkBytes;

namespace Exporter.Tests;

/// <summary>Routes and next-hop objects as linux/rtnetlink.h and linux/nexthop.h lay them out.</summary>
public sealed class RouteParseTests
{
    private const byte Inet = 2;
    private const byte Inet6 = 10;
    private const byte Mpls = 28;
    private const byte Unicast = 1;
    private const byte Unreachable = 7;
    private const byte Main = 254;
    private const byte Compatible = 252;
    private const int RtaInterface = 4;
    private const int RtaMultipath = 9;
    private const int RtaTable = 15;
    private const int RtaNextHop = 30;
    private const int NhaGroup = 2;
    private const int NhaInterface = 5;

    private static readonly byte[] TwoHops = [.. Hop(3, Attribute(5, [192, 0, 2, 1])), .. Hop(4)];

    [Theory]
    [InlineData(Inet, 0, 0, Main, Unicast, true)]
    [InlineData(Inet6, 0, 0, Main, Unicast, true)]
    [InlineData(Mpls, 0, 0, Main, Unicast, false)]
    [InlineData(Inet, 1, 0, Main, Unicast, false)]
    [InlineData(Inet6, 0, 64, Main, Unicast, false)]
    [InlineData(Inet, 0, 0, 100, Unicast, false)]
    [InlineData(Inet, 0, 0, Main, Unreachable, false)]
    public void A_default_route_is_unicast_to_all_and_from_all_and_in_the_table_main(
        byte family, byte destination, byte source, byte table, byte type, bool isDefault) =>
        Assert.Equal(isDefault ? [3] : null, Parse([.. Route(family, destination, source, table, type), .. Attribute(RtaInterface, 3)])?.Interfaces);

    /// <summary>A table that does not fit into the fixed part is RT_TABLE_COMPAT there.</summary>
    [Fact]
    public void The_table_of_the_attribute_wins()
    {
        Assert.NotNull(Parse([.. Route(table: Compatible), .. Attribute(RtaTable, (int)Main)]));
        Assert.Null(Parse([.. Route(), .. Attribute(RtaTable, 1000)]));
        Assert.Null(Parse([.. Route(table: Compatible), .. Attribute(RtaTable, 1000)]));
    }

    [Fact]
    public void All_hops_of_a_multipath_route_are_read() => Assert.Equal([3, 4], Parse([.. Route(), .. Attribute(RtaMultipath, TwoHops)])?.Interfaces);

    [Fact]
    public void A_route_may_have_a_next_hop_object_alone()
    {
        var route = Parse([.. Route(), .. Attribute(RtaNextHop, 5)]);

        Assert.Equal(5, route?.NextHopId);
        Assert.Empty(route!.Interfaces);
    }

    [Fact]
    public void Hops_that_are_cut_short_or_claim_too_much_end_the_list()
    {
        for (var length = 0; length < TwoHops.Length; length++)
        {
            // The first hop has 16 bytes.
            Assert.Equal(length < 16 ? [] : [3], Parse([.. Route(), .. Attribute(RtaMultipath, TwoHops[..length])])?.Interfaces);
        }
        foreach (var claim in (ushort[])[0, 7, 9, ushort.MaxValue])
        {
            Assert.Empty(Parse([.. Route(), .. Attribute(RtaMultipath, WithLength(Hop(3), claim))])!.Interfaces);
        }
    }

    [Fact]
    public void A_next_hop_is_an_interface_or_a_group()
    {
        byte[] group = [.. BitConverter.GetBytes(5), 0, 0, 0, 0, .. BitConverter.GetBytes(6), 9, 0, 0, 0, 1, 2, 3];

        Assert.Equal(3, ParseNextHop([.. new byte[8], .. Attribute(NhaInterface, 3)]).Ifindex);
        Assert.Equal([5, 6], ParseNextHop([.. new byte[8], .. Attribute(NhaGroup, group)]).Members);
    }

    /// <summary>struct rtmsg: family, both lengths, type of service, table, protocol, scope, type, flags.</summary>
    private static byte[] Route(byte family = Inet, byte destination = 0, byte source = 0, byte table = Main, byte type = Unicast) =>
        [family, destination, source, 0, table, 3, 0, type, 0, 0, 0, 0];

    /// <summary>struct rtnexthop: length, flags, weight, index; attributes.</summary>
    private static byte[] Hop(int ifindex, params byte[] attributes) =>
        [.. BitConverter.GetBytes((ushort)(8 + attributes.Length)), 0, 0, .. BitConverter.GetBytes(ifindex), .. attributes];

    private static DefaultRoute? Parse(byte[] payload) => DefaultRoute.Parse(new NetlinkMessage(24, 0, 0, payload));

    private static NextHop ParseNextHop(byte[] payload) => NextHop.Parse(new NetlinkMessage(104, 0, 0, payload));
}
