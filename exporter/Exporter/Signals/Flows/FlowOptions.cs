using Exporter.Edges;
using Exporter.Options;
using Exporter.Peers;

namespace Exporter.Signals.Flows;

/// <summary>How flows are counted.</summary>
/// <param name="MaxFlowsPerPod">In percent of <paramref name="MaxFlows"/>.</param>
/// <param name="Sampling">One in so many tuples.</param>
internal sealed record FlowOptions(bool IsOn, TimeSpan Interval, int MaxFlows, int MaxFlowsPerPod, int Sampling)
{
    /// <summary>The classes of addresses that peers have.</summary>
    internal PeerClasses Classes { get; init; } = PeerClasses.BuiltIn;

    /// <summary>The most questions to conntrack a second.</summary>
    internal int MaxLookups { get; init; } = 1000;

    /// <summary>Between two announcements of an address.</summary>
    internal TimeSpan IdentityInterval { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether records are made of flows; else they are counted for edges alone.</summary>
    internal bool HasRecords { get; init; } = true;

    /// <param name="edges">Edges need flows, too.</param>
    internal static FlowOptions Read(OptionReader reader, EdgeOptions edges)
    {
        var options = ReadSection(reader);
        options = options with { IsOn = options.IsOn || edges.IsOn, HasRecords = options.IsOn };
        reader.Require(
            !options.IsOn || options.Classes.HasPods,
            PeerClasses.Key,
            "does not say which addresses pods have, which flows and edges need; add the cluster's pod networks, as in pods=10.244.0.0/16");
        return options;
    }

    private static FlowOptions ReadSection(OptionReader reader) => new(
        reader.Switch("Flows:Enabled", false, "Count the flows of pods, each a pair of addresses and ports, and make a record of each for every interval. Without Export:Sinks they are at /api/v1/flows alone."),
        reader.Duration(
            "Flows:Interval",
            TimeSpan.FromSeconds(10),
            TimeSpan.FromMilliseconds(100),
            TimeSpan.FromMinutes(5),
            "Interval of flow records. It ends earlier when the map of flows would be full."),
        reader.Number(
            "Flows:MaxFlows",
            32768,
            64,
            1 << 20,
            "Most flows in an interval; each takes 0.75 KiB of kernel memory, whatever the number of CPUs. Packets of more flows are counted in rest records."),
        reader.Number(
            "Flows:MaxFlowsPerPod",
            25,
            1,
            100,
            "Most flows of a pod's interface in an interval, in percent of Flows:MaxFlows; an equal share of Flows:MaxFlows where that is more."),
        reader.Number(
            "Flows:Sampling",
            1,
            1,
            1 << 20,
            "Record one in so many connections, chosen by a hash of addresses and ports that is the same on every node; the packets of the others are counted in rest records."))
    {
        Classes = PeerClasses.Read(reader),
        MaxLookups = reader.Number(
            "Flows:MaxLookups", 1000, 0, 100_000, "Most questions a second to conntrack, for the backends of connections to Services' own addresses; 0: none, and records have no nat.", isLive: true),
        IdentityInterval = reader.Duration(
            "Flows:IdentityInterval", TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(10), TimeSpan.FromDays(1), "Interval of the records that say which pod has which address.", isLive: true),
    };
}
