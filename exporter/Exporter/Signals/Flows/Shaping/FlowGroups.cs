using System.Runtime.InteropServices;
using Exporter.Records;
using EventId = Exporter.Records.EventId;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>Which parts flows of a group have in common. The id of a group's record is made of them, and flows with one id are one group.</summary>
internal sealed class FlowGroups
{
    /// <summary>Names that are a class alone.</summary>
    private readonly Dictionary<string, RecordEnd> _classes = [];

    /// <summary>The id of the record of a group that a flow is in.</summary>
    /// <param name="local">The name of the observer's pod; null: it is not known.</param>
    internal EventId IdOf(FlowGroup group, FlowInterval interval, in FlowObservation flow, RecordEnd? local)
    {
        var isNamed = group == FlowGroup.Workload;
        var remote = isNamed ? flow.Remote : HasManyRemotes(group, flow) ? ClassOf(flow.Remote) : null;
        return EventId.OfFlows(interval.Context, flow.Owner.Generation, group, TupleOf(group, flow), isNamed ? local : null, remote);
    }

    /// <summary>Removes from the record of a group's first flow the parts that the others do not have.</summary>
    internal static void Blank(FlowGroup group, FlowRecord record)
    {
        if (!IpProtocol.HasPorts(record.Protocol) && group == FlowGroup.ServicePort)
        {
            return;
        }
        record.Source.HasPort = false;
        if (group is FlowGroup.Workload or FlowGroup.Ports)
        {
            record.Destination.HasPort = false;
        }
        if (group is FlowGroup.Workload)
        {
            record.Family = record.Source.Address.Family;
            (record.IcmpType, record.IcmpCode) = (null, null);
        }
        if (group is FlowGroup.Workload or FlowGroup.Sources)
        {
            Clear(ref record.Source);
        }
        if (group is FlowGroup.Workload or FlowGroup.Hosts)
        {
            Clear(ref record.Destination);
        }
    }

    private static void Clear(ref FlowSide side) => (side.Address, side.NatAddress, side.NatPort) = (default, default, 0);

    /// <summary>The class of an end, without its names; null: it has none.</summary>
    internal RecordEnd? ClassOf(RecordEnd? end)
    {
        if (end is not { Class.Length: > 0 })
        {
            return null;
        }
        ref var named = ref CollectionsMarshal.GetValueRefOrAddDefault(_classes, end.Class, out _);
        return named ??= new() { Class = end.Class };
    }

    /// <summary>
    /// The tuple has the parts that the flows have in common. Where ports are not among them, the local one says which end began: flows in different directions
    /// are different groups.
    /// </summary>
    private static FlowTuple TupleOf(FlowGroup group, in FlowObservation flow)
    {
        var key = flow.Key;
        var (protocol, local, localPort, remote, remotePort) = (key.Protocol, key.LocalAddress, key.LocalPortNumber, key.RemoteAddress, key.RemotePortNumber);
        var isLocalSource = flow.Sight.IsLocalSource;
        var direction = (ushort)(isLocalSource ? 1 : 0);
        return (group, isLocalSource) switch
        {
            // Types of messages are in the ports of other protocols.
            (FlowGroup.ServicePort, _) when !IpProtocol.HasPorts(protocol) => new(protocol, local, localPort, remote, remotePort),
            (FlowGroup.ServicePort, true) => new(protocol, local, 0, remote, remotePort),
            (FlowGroup.ServicePort, false) => new(protocol, local, localPort, remote, 0),
            // The address of no bits has the version of IP.
            (FlowGroup.Workload, _) => new(protocol, local.Prefix(0), direction, default, 0),
            (FlowGroup.Ports, _) => new(protocol, local, direction, remote, 0),
            (FlowGroup.Hosts, true) => new(protocol, local, 0, default, remotePort),
            (FlowGroup.Hosts, false) => new(protocol, default, localPort, remote, 0),
            (FlowGroup.Sources, true) => new(protocol, default, 0, remote, remotePort),
            (FlowGroup.Sources, false) => new(protocol, local, localPort, default, 0),
            _ => new(protocol, local, localPort, remote, remotePort),
        };
    }

    /// <summary>
    /// Whether the other ends of the group's flows differ. They are of one class then: whether a record is counted at its other end too depends on that.
    /// </summary>
    private static bool HasManyRemotes(FlowGroup group, in FlowObservation flow) => group == (flow.Sight.IsLocalSource ? FlowGroup.Hosts : FlowGroup.Sources);
}
