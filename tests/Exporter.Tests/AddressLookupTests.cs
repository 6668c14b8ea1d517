using System.Net;
using Exporter.Bpf.Netlink;
using Exporter.Interfaces;

namespace Exporter.Tests;

/// <summary>Which addresses of a pod's namespace are on the interface that leads there.</summary>
public sealed class AddressLookupTests
{
    private const int End = 3;

    [Fact]
    public void Addresses_of_other_interfaces_are_inner_ones_and_those_that_say_nothing_are_skipped()
    {
        var (all, inner) = Sort((1, "127.0.0.1"), (End, "10.42.0.5"), (End, "fe80::1"), (7, "10.42.0.1"), (End, "fd00::5"), (1, "192.0.2.1"));

        Assert.Equal(["10.42.0.5", "10.42.0.1", "fd00::5", "192.0.2.1"], all);
        Assert.Equal(["10.42.0.1", "192.0.2.1"], inner);
    }

    [Fact]
    public void An_address_that_the_end_has_too_is_not_an_inner_one() => Assert.Empty(Sort((1, "10.42.0.5"), (End, "10.42.0.5")).Inner);

    /// <summary>As where the pod has put its end into a bridge, which has the address then.</summary>
    [Fact]
    public void Behind_an_end_without_addresses_none_is_an_inner_one()
    {
        var (all, inner) = Sort((7, "10.42.0.5"), (End, "fe80::1"));

        Assert.Equal(["10.42.0.5"], all);
        Assert.Empty(inner);
    }

    private static (IEnumerable<string> All, IEnumerable<string> Inner) Sort(params (int Ifindex, string Address)[] found)
    {
        var (all, inner) = AddressLookup.Sort(found.Select(each => new LinkAddress(each.Ifindex, IPAddress.Parse(each.Address))), End);
        return (all.Select(address => address.ToString()), inner.Select(address => address.ToString()));
    }
}
