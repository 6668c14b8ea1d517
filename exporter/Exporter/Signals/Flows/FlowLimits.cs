using Exporter.Bpf;

namespace Exporter.Signals.Flows;

/// <summary>How many flows there may be between two swaps, of the map and of each interface. The programs obey the map's own row.</summary>
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

    /// <summary>
    /// An interface may have its part of the map, or an equal share where that is more. Once half of the map is used, it may have a quarter of an equal
    /// share: all of these together fit into the other half. One that is alone may have all.
    /// </summary>
    internal DrainedRow<FlowKey, FlowValue> MakeRow()
    {
        var (flows, interfaces) = (options.MaxFlows, Interfaces);
        return new(FlowKey.OfMap, new FlowRest
        {
            MaxFlows = (uint)flows,
            PodMax = (uint)Math.Max((long)flows * options.MaxFlowsPerPod / 100, flows / interfaces),
            PodShare = (uint)(interfaces == 1 ? flows : Math.Max(flows / (4 * interfaces), 1)),
        }.AsValue());
    }
}
