using System.Net;
using Exporter.Bpf.Netlink;
using static Exporter.Tests.Support.NetlinkBytes;

namespace Exporter.Tests;

/// <summary>Links and addresses as linux/if_link.h and linux/if_addr.h number their attributes.</summary>
public sealed class LinkParseTests
{
    private const int IflaAddress = 1;
    private const int IflaName = 3;
    private const int IflaLink = 5;
    private const int IflaLinkInfo = 18;
    private const int IflaLinkNamespaceId = 37;
    private const int InfoKind = 1;
    private const int IfaAddress = 1;
    private const int IfaLocal = 2;
    private const byte Inet = 2;
    private const byte Inet6 = 10;
    private const byte Bridge = 7;

    private static readonly byte[] Veth =
    [
        .. IfInfo(0, 7),
        .. Attribute(IflaName, "veth7"),
        .. Attribute(IflaAddress, [0x0a, 0x58, 0x0a, 0xf4, 0x00, 0x07]),
        .. Attribute(IflaLink, 2),
        .. Attribute(IflaLinkInfo | 0x8000, [.. Attribute(InfoKind, "veth")]),
        .. Attribute(IflaLinkNamespaceId, 4),
    ];

    [Fact]
    public void A_veth_is_read_whole() => Assert.Equal(new Link(7, "veth7", "veth", 0x0a580af40007, 2, 4), ParseLink(Veth));

    [Fact]
    public void A_link_without_attributes_has_an_index_only() => Assert.Equal(new Link(7, "", "", 0, 0, null), ParseLink(IfInfo(0, 7)));

    [Fact]
    public void What_a_bridge_says_of_its_ports_is_no_link() => Assert.Null(ParseLink([.. IfInfo(Bridge, 7), .. Attribute(IflaName, "veth7")]));

    [Fact]
    public void A_pair_in_one_namespace_has_a_peer_and_no_namespace() =>
        Assert.Equal(new Link(7, "", "", 0, 8, null), ParseLink([.. IfInfo(0, 7), .. Attribute(IflaLink, 8)]));

    [Fact]
    public void The_namespace_of_id_zero_is_another_namespace() =>
        Assert.Equal(0, ParseLink([.. IfInfo(0, 7), .. Attribute(IflaLinkNamespaceId, 0)])?.PeerNamespaceId);

    /// <summary>NETNSA_NSID_NOT_ASSIGNED.</summary>
    [Fact]
    public void The_namespace_of_id_minus_one_has_no_id_and_is_going_away() =>
        Assert.Equal(
            new Link(7, "", "", 0, 8, null) { IsPeerNamespaceGoing = true },
            ParseLink([.. IfInfo(0, 7), .. Attribute(IflaLink, 8), .. Attribute(IflaLinkNamespaceId, -1)]));

    [Fact]
    public void Unknown_attributes_are_passed_over() =>
        Assert.Equal("veth7", ParseLink([.. IfInfo(0, 7), .. Attribute(99, [1, 2, 3, 4, 5]), .. Attribute(IflaName, "veth7")])?.Name);

    [Fact]
    public void An_address_that_is_longer_than_a_number_is_none() =>
        Assert.Equal(0ul, ParseLink([.. IfInfo(0, 7), .. Attribute(IflaAddress, [.. Enumerable.Repeat((byte)0xfe, 20)])])?.HardwareAddress);

    [Fact]
    public void The_kind_is_found_behind_other_link_information() =>
        Assert.Equal("netkit", ParseLink([.. IfInfo(0, 7), .. Attribute(IflaLinkInfo, [.. Attribute(2, [1, 2, 3]), .. Attribute(InfoKind, "netkit")])])?.Kind);

    [Fact]
    public void Numbers_that_are_too_short_are_none() =>
        Assert.Equal(
            new Link(7, "", "", 0, 0, null),
            ParseLink([.. IfInfo(0, 7), .. Attribute(IflaLink, [1, 2]), .. Attribute(IflaLinkNamespaceId, [1])]));

    [Fact]
    public void A_link_that_is_cut_short_has_what_was_before()
    {
        for (var length = IfInfo(0, 7).Length; length < Veth.Length; length++)
        {
            var link = ParseLink(Veth[..length]);

            Assert.Equal(7, link?.Ifindex);
            Assert.True(link?.Name is "" or "veth7");
            Assert.Null(link.PeerNamespaceId);
        }
    }

    [Fact]
    public void Damaged_attributes_never_make_a_link_unreadable()
    {
        var random = new Random(5);
        for (var round = 0; round < 20_000; round++)
        {
            byte[] bytes = [.. Veth];
            for (var i = random.Next(1, 8); i > 0; i--)
            {
                bytes[random.Next(16, bytes.Length)] = (byte)random.Next(256);
            }

            Assert.Equal(7, ParseLink(bytes)?.Ifindex);
        }
    }

    [Theory]
    [InlineData(Inet, "10.244.0.7")]
    [InlineData(Inet6, "fd00:10:244::7")]
    public void An_address_is_read(byte family, string text)
    {
        var address = IPAddress.Parse(text);

        Assert.Equal(
            new LinkAddress(3, address),
            ParseAddress([.. IfAddr(family, 3), .. Attribute(IfaAddress, address.GetAddressBytes()), .. Attribute(8, 0x80)]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void On_a_point_to_point_link_the_own_address_is_read_and_not_the_other_ends(bool localFirst)
    {
        var local = Attribute(IfaLocal, [10, 0, 0, 1]);
        var other = Attribute(IfaAddress, [10, 0, 0, 2]);

        var read = ParseAddress(localFirst ? [.. IfAddr(Inet, 3), .. local, .. other] : [.. IfAddr(Inet, 3), .. other, .. local]);

        Assert.Equal(IPAddress.Parse("10.0.0.1"), read?.Address);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(15)]
    [InlineData(17)]
    public void An_address_of_an_impossible_length_is_none(int length) =>
        Assert.Null(ParseAddress([.. IfAddr(Inet, 3), .. Attribute(IfaAddress, new byte[length])]));

    [Fact]
    public void An_address_message_that_is_cut_short_is_none()
    {
        byte[] whole = [.. IfAddr(Inet6, 3), .. Attribute(IfaAddress, IPAddress.IPv6Loopback.GetAddressBytes())];

        for (var length = IfAddr(Inet6, 3).Length; length < whole.Length; length++)
        {
            Assert.Null(ParseAddress(whole[..length]));
        }
    }

    private static Link? ParseLink(byte[] payload) => Link.Parse(new NetlinkMessage(16, 0, 0, payload));

    private static LinkAddress? ParseAddress(byte[] payload) => LinkAddress.Parse(new NetlinkMessage(20, 0, 0, payload));
}
