using System.Net;
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
    private readonly FlowIdentities _identities;

    public FlowIdentitiesTests()
    {
        var table = PeerTable.Of(PeerClasses.BuiltIn);
        _identities = new(_pods, new(_pods, () => table, new("", static () => [], NullLogger.Instance)), TimeSpan.FromMinutes(5));
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

    private List<(string Address, DateTimeOffset Timestamp, DateTimeOffset From)> Find(DateTimeOffset now) =>
        [.. _identities.FindDue(now).Select(record => (record.Address.ToString(), record.Timestamp, record.From))];

    private PodInterface Add(int ifindex, string address, DateTimeOffset at)
    {
        var owner = CountingNode.NewInterface(ifindex, generation: ifindex);
        (owner.Addresses, owner.AddressedAt) = ([IPAddress.Parse(address)], at);
        _pods.Current = _pods.Current.SetItem(ifindex, owner);
        return owner;
    }

    private static void Name(PodInterface owner, string name) => owner.Pod = new("shop", name, new("shop", name));
}
