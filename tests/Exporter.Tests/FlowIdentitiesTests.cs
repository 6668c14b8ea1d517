using System.Net;
using Exporter.Bpf.Netlink;
using Exporter.Peers;
using Exporter.Pods;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Tests;

/// <summary>Which pod has which address, as records announce it.</summary>
public sealed class FlowIdentitiesTests
{
    private static readonly DateTimeOffset Start = new(2026, 11, 28, 10, 0, 0, TimeSpan.Zero);

    private readonly PodTable _pods = new();
    private readonly List<IPAddress> _node = [];
    private readonly FlowEnds _ends;
    private readonly FlowIdentities _identities;

    public FlowIdentitiesTests()
    {
        var table = PeerTable.Of(PeerClasses.BuiltIn);
        _ends = new(_pods, () => table, new("", () => _node.Select(address => new LinkAddress(1, address)), static _ => null, NullLogger.Instance));
        _identities = new(_pods, _ends, TimeSpan.FromMinutes(5));
    }

    [Fact]
    public void An_address_is_announced_once_it_has_a_name_and_for_the_time_when_it_was_there()
    {
        var owner = Add(1, "10.0.0.4", Start);
        Assert.Empty(Find(Start));

        Name(owner, "web-0");

        Assert.Equal([("10.0.0.4", Start, Start)], Find(Start + TimeSpan.FromSeconds(20)));
        Assert.Empty(Find(Start + TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void A_first_announcement_is_not_of_more_than_a_minute_ago()
    {
        Name(Add(1, "10.0.0.4", Start - TimeSpan.FromHours(3)), "web-0");

        Assert.Equal([("10.0.0.4", Start - TimeSpan.FromMinutes(1), Start - TimeSpan.FromHours(3))], Find(Start));
    }

    [Fact]
    public void It_is_announced_again_at_the_interval_and_when_it_has_another_pod()
    {
        var owner = Add(1, "10.0.0.4", Start);
        Name(owner, "web-0");
        _ = Find(Start);

        Assert.Empty(Find(Start + TimeSpan.FromMinutes(4)));
        Assert.Equal([("10.0.0.4", Start + TimeSpan.FromMinutes(5), Start)], Find(Start + TimeSpan.FromMinutes(5)));
        Name(owner, "web-1");
        Assert.Single(Find(Start + TimeSpan.FromMinutes(6)));
    }

    [Fact]
    public void A_clock_that_goes_back_does_not_keep_it_silent()
    {
        Name(Add(1, "10.0.0.4", Start), "web-0");
        _ = Find(Start);

        Assert.Single(Find(Start - TimeSpan.FromHours(1)));
    }

    [Fact]
    public void Each_address_of_a_pod_is_announced()
    {
        var owner = Add(1, "10.0.0.4", Start);
        owner.Addresses = [.. owner.Addresses, IPAddress.Parse("fd00::4")];
        Name(owner, "web-0");

        Assert.Equal(["10.0.0.4", "fd00::4"], Find(Start).Select(found => found.Address));
    }

    /// <summary>Two records of one address and time have one event.id, and other nodes take the newer one for the address's pod.</summary>
    [Fact]
    public void An_address_inside_of_pods_is_not_announced()
    {
        foreach (var ifindex in (int[])[1, 2])
        {
            var owner = Add(ifindex, $"10.0.0.{ifindex}", Start - TimeSpan.FromHours(1));
            (owner.Addresses, owner.InnerAddresses) = ([.. owner.Addresses, IPAddress.Parse("172.17.0.1")], [IPAddress.Parse("172.17.0.1")]);
            Name(owner, $"ci-{ifindex}");
        }

        Assert.Equal(["10.0.0.1", "10.0.0.2"], Find(Start).Select(found => found.Address).Order());
    }

    [Fact]
    public void An_address_that_a_pod_took_from_another_or_from_the_node_is_not_its_own()
    {
        _node.Add(IPAddress.Parse("10.0.0.1"));
        Name(Add(1, "10.0.0.4", Start), "web-0", "10.0.0.4");
        var taker = Add(2, "10.0.0.5", Start + TimeSpan.FromSeconds(1));
        taker.Addresses = [.. ((string[])["10.0.0.5", "10.0.0.4", "10.0.0.1", "192.168.5.5"]).Select(IPAddress.Parse)];
        Name(taker, "ci", "10.0.0.5");

        Assert.Equal(
            [("10.0.0.4", Start), ("10.0.0.5", Start + TimeSpan.FromSeconds(1)), ("192.168.5.5", Start + TimeSpan.FromSeconds(1))],
            Find(Start + TimeSpan.FromSeconds(9)).Select(found => (found.Address, found.From)).Order());
    }

    [Fact]
    public void Of_two_pods_that_are_there_with_one_address_the_later_one_is_announced()
    {
        Name(Add(1, "10.0.0.4", Start), "web-0");
        Name(Add(2, "10.0.0.4", Start + TimeSpan.FromSeconds(1)), "web-1");

        Assert.Equal([("10.0.0.4", Start + TimeSpan.FromSeconds(1), Start + TimeSpan.FromSeconds(1))], Find(Start + TimeSpan.FromSeconds(9)));
    }

    [Fact]
    public void A_pod_that_has_gone_is_announced_beside_its_successor_at_another_time()
    {
        var gone = Add(1, "10.0.0.4", Start - TimeSpan.FromMinutes(3));
        Name(gone, "web-0");
        gone.GoneAt = Start;
        Name(Add(2, "10.0.0.4", Start), "web-1");
        Assert.Equal([Start, Start - TimeSpan.FromMinutes(1)], Find(Start).Select(found => found.Timestamp));

        Name(gone, "web-2");
        Name(_pods.Current[2], "web-3");
        Assert.Equal([Start + TimeSpan.FromMinutes(1)], Find(Start + TimeSpan.FromMinutes(2)).Select(found => found.Timestamp));
    }

    [Fact]
    public void Interfaces_of_one_pod_announce_its_address_once()
    {
        var first = Add(1, "10.0.0.4", Start);
        Name(first, "web-0", "10.0.0.9");
        first.Addresses = [.. first.Addresses, IPAddress.Parse("10.0.0.9")];
        var second = Add(2, "10.0.0.5", Start, first);
        Name(second, "web-0", "10.0.0.9");
        second.Addresses = first.Addresses = [.. first.Addresses, .. second.Addresses];
        (first.InnerAddresses, second.InnerAddresses) = ([IPAddress.Parse("10.0.0.5"), IPAddress.Parse("10.0.0.9")], [IPAddress.Parse("10.0.0.4"), IPAddress.Parse("10.0.0.9")]);

        Assert.Equal(["10.0.0.4", "10.0.0.5", "10.0.0.9"], Find(Start).Select(found => found.Address).Order());
        Assert.Empty(Find(Start + TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void A_link_local_address_that_other_nodes_have_too_is_not_announced()
    {
        var owner = Add(1, "10.0.0.4", Start);
        owner.Addresses = [.. owner.Addresses, IPAddress.Parse("169.254.172.2")];
        Name(owner, "web-0");

        Assert.Equal(["10.0.0.4"], Find(Start).Select(found => found.Address));
    }

    private List<(string Address, DateTimeOffset Timestamp, DateTimeOffset From)> Find(DateTimeOffset now)
    {
        _ends.Refresh(now, now);
        return [.. _identities.FindDue(now).Select(record => (record.Address.ToString(), record.Timestamp, record.From))];
    }

    private PodInterface Add(int ifindex, string address, DateTimeOffset at, PodInterface? sibling = null)
    {
        var owner = CountingNode.NewInterface(ifindex, generation: ifindex);
        owner.Sibling = sibling;
        (owner.Addresses, owner.AddressedAt) = ([IPAddress.Parse(address)], at);
        _pods.Current = _pods.Current.SetItem(ifindex, owner);
        return owner;
    }

    /// <param name="addresses">As the API server has them.</param>
    private static void Name(PodInterface owner, string name, params string[] addresses) =>
        owner.Pod = new("shop", name, new("shop", name)) { Addresses = [.. addresses.Select(IPAddress.Parse)] };
}
