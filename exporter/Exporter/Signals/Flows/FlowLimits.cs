using Exporter.Bpf;

namespace Exporter.Signals.Flows;

/// <summary>
/// How many flows there may be, of each interface: between two swaps in the map, whose own row the programs obey, and in the flow table.
/// </summary>
internal sealed class FlowLimits(FlowOptions options, int maxInterfaces)
{
    /// <summary>As long as no interface is known, as after the start: there will be some.</summary>
    private int _interfaces = 16;

    /// <summary>How many interfaces share the map now. Takes effect with the next swap.</summary>
    internal int Interfaces
    {
        get => Volatile.Read(ref _interfaces);
        set => Volatile.Write(ref _interfaces, value == 0 ? _interfaces : Math.Min(value, maxInterfaces));
    }

    internal DrainedRow<FlowKey, FlowValue> MakeRow()
    {
        var (most, share) = Of(options.MaxFlows);
        return new(FlowKey.OfMap, new FlowRest { MaxFlows = (uint)options.MaxFlows, PodMax = (uint)most, PodShare = (uint)share }.AsValue());
    }

    /// <summary>
    /// An interface may have its part of the room, or an equal share where that is more. Once half of the room is used, it may have a quarter of an equal
    /// share: all of these together fit into the other half. One that is alone may have all.
    /// </summary>
    internal (int Most, int Share) Of(int room)
    {
        var interfaces = Interfaces;
        return ((int)Math.Max((long)room * options.MaxFlowsPerPod / 100, room / interfaces), interfaces == 1 ? room : Math.Max(room / (4 * interfaces), 1));
    }
}
