using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Rows of interfaces, which are in one map with the rows of flows.</summary>
public sealed class FlowRestTests
{
    [Fact]
    public void The_packets_of_any_row_are_known_by_its_key()
    {
        var map = new FlowMap();
        map.Count(FlowLife.Udp, isFromPod: true, at: 1);
        map.Count(FlowLife.Udp, isFromPod: false, at: 2);
        map.Count(FlowLife.Udp, isFromPod: false, at: 3);
        var rest = new FlowRest { Inserts = 77 };
        for (var reason = 0; reason < FlowRest.Reasons; reason++)
        {
            rest.Unrecorded[reason] = new((ulong)(1 << reason), Bytes: 1000);
        }

        Assert.Equal(3ul, FlowRest.PacketsOf(FlowLife.Udp, map.Rows[0].Value));
        Assert.Equal(63ul, FlowRest.PacketsOf(new() { Ifindex = 7 }, rest.AsValue()));
        Assert.Equal(63ul, FlowRest.PacketsOf(FlowKey.OfMap, rest.AsValue()));
    }
}
