using Exporter.Bpf.Netlink;
using Exporter.Interfaces;

namespace Exporter.Tests;

/// <summary>Whether an interface is the one that a previous process has counted.</summary>
public sealed class LinkProofTests
{
    private static readonly Link Known = new(7, "veth7", "veth", 0xeeeeeeeeeeee, 2, 0);

    public static TheoryData<string, Link, LinkIdentity, LinkIdentity, bool, string> Cases => new()
    {
        { "all agrees", Known, new(5, 9), new(5, 9), true, "Same" },
        { "name and address have changed", Known with { Name = "other", HardwareAddress = 1 }, new(5, 9), new(5, 9), true, "Same" },
        { "made since", Known, new(5, 9), new(5, 10), true, "Another" },
        { "made since, to another namespace", Known, new(5, 9), new(6, 10), true, "Another" },
        { "its other end has moved", Known, new(5, 9), new(6, 9), true, "Moved" },
        { "its other end has moved, by ids alone", Known with { PeerNamespaceId = 1 }, new(0, 9), new(0, 9), false, "Moved" },
        { "a birth proves it without namespaces", Known, new(0, 9), new(0, 9), false, "Same" },
        { "its namespace is going away", Known with { PeerNamespaceId = null, IsPeerNamespaceGoing = true }, new(5, 9), new(0, 9), true, "Same" },
        { "an inode number proves nothing", Known, new(5, 0), new(5, 0), false, "Unproven" },
        { "an inode number with a birth does", Known, new(5, 9), new(5, 9), false, "Same" },
        { "a cookie and the peer's index do", Known, new(5, 0), new(5, 9), true, "Same" },
        { "a cookie with another peer's index does not", Known with { PeerIfindex = 3 }, new(5, 0), new(5, 9), true, "Unproven" },
        { "another cookie without a birth", Known, new(5, 0), new(6, 0), true, "Moved" },
        { "nothing is known", Known, default, default, true, "Unproven" },
        { "nothing was known", Known, default, new(5, 9), true, "Unproven" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void An_interface_is_the_same_only_where_that_is_proven(string what, Link link, LinkIdentity before, LinkIdentity now, bool hasCookies, string expected) =>
        Assert.True(expected == LinkProofs.Find(Known, before, link, now, hasCookies).ToString(), what);
}
