using CsCheck;
using Exporter.Signals.Flows;

namespace Exporter.Tests;

/// <summary>How many flows the map and each interface may have.</summary>
public sealed class FlowLimitsTests
{
    [Fact]
    public void One_interface_may_have_all()
    {
        var limits = Limits(flows: 1000, percent: 25, interfaces: 1);

        Assert.Equal((1000u, 1000u, 1000u), (limits.MaxFlows, limits.PodMax, limits.PodShare));
    }

    [Fact]
    public void An_interface_may_have_its_part_or_an_equal_share_where_that_is_more()
    {
        Assert.Equal(500u, Limits(flows: 1000, percent: 25, interfaces: 2).PodMax);
        Assert.Equal(250u, Limits(flows: 1000, percent: 25, interfaces: 10).PodMax);
    }

    /// <summary>However many flood: half of the map is not used before the quarter shares apply, and all of these fit into the other half.</summary>
    [Fact]
    public void The_quarter_shares_of_all_interfaces_fit_into_half_of_the_map() =>
        Gen.Select(Gen.Int[64, 1 << 20], Gen.Int[1, 100], Gen.Int[2, 4096]).Where(one => one.Item3 <= one.Item1 / 8).Sample((flows, percent, interfaces) =>
        {
            var limits = Limits(flows, percent, interfaces);
            Assert.InRange((long)limits.PodShare * interfaces, 1, flows / 2);
            Assert.InRange(limits.PodMax, Math.Max(limits.PodShare, 1), (uint)flows);
        });

    private static FlowRest Limits(int flows, int percent, int interfaces)
    {
        var limits = new FlowLimits(new(IsOn: true, TimeSpan.FromSeconds(10), flows, percent, Sampling: 1), maxInterfaces: 4096) { Interfaces = interfaces };
        return FlowRest.Of(limits.MakeRow().Value);
    }
}
