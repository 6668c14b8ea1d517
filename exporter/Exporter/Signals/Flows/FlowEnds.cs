using Exporter.Peers;
using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>Names the ends of flows. Made names are kept, since most records are of a few of them. Used by the drain alone.</summary>
internal sealed class FlowEnds(PodTable pods, Func<PeerTable> peers)
{
    /// <summary>Names are made again when there are more: peers come and go.</summary>
    private const int MaxNames = 16_384;

    private readonly Dictionary<long, (PodIdentity Pod, RecordEnd End)> _pods = [];
    private readonly Dictionary<Peer, RecordEnd> _peers = [];
    private readonly Dictionary<FlowAddress, PodInterface> _addresses = [];
    private PeerTable _table = peers();

    /// <summary>Takes the interfaces and the peers of now.</summary>
    internal void Refresh()
    {
        _table = peers();
        if (_pods.Count > MaxNames)
        {
            _pods.Clear();
        }
        if (_peers.Count > MaxNames)
        {
            _peers.Clear();
        }
        _addresses.Clear();
        foreach (var owner in pods.Current.Values)
        {
            foreach (var address in owner.Addresses)
            {
                // Of two interfaces with one address the later one has it now.
                var key = FlowAddress.From(address);
                if (!_addresses.TryGetValue(key, out var other) || other.Generation < owner.Generation)
                {
                    _addresses[key] = owner;
                }
            }
        }
    }

    /// <summary>A pod without a workload, as there are none without Kubernetes, stands for itself.</summary>
    internal static string WorkloadOf(PodIdentity pod) => pod.Workload.Length > 0 ? pod.Workload : pod.Name;

    /// <summary>The pod of an interface; null: it is not known.</summary>
    internal RecordEnd? FindPod(PodInterface owner)
    {
        if (owner.Pod is not { } pod)
        {
            return null;
        }
        if (!_pods.TryGetValue(owner.Generation, out var known) || !ReferenceEquals(known.Pod, pod))
        {
            known = (pod, new() { Namespace = pod.Namespace, Pod = pod.Name, Workload = WorkloadOf(pod), WorkloadKind = pod.WorkloadKind });
            _pods[owner.Generation] = known;
        }
        return known.End;
    }

    /// <summary>The other end of a flow.</summary>
    /// <param name="isVip">Whether it is a Service's own address: then conntrack knows the backend.</param>
    internal RecordEnd? FindRemote(in FlowKey key, out bool isVip)
    {
        isVip = false;
        if (_addresses.TryGetValue(key.RemoteAddress, out var owner))
        {
            return FindPod(owner);
        }
        var peer = _table.Find(key.RemoteBytes, key.RemotePortNumber, key.Protocol);
        isVip = peer.IsVip;
        if (!_peers.TryGetValue(peer, out var end))
        {
            _peers[peer] = end = peer.Kind == PeerKind.Service
                ? new() { Namespace = peer.Namespace, Service = peer.Name, Class = peer.Class }
                : new() { Class = peer.Class };
        }
        return end;
    }

    /// <summary>The other end of a flow as edges have it: kind, namespace and name.</summary>
    internal (string Kind, string Namespace, string Name) FindPeer(in FlowKey key)
    {
        if (_addresses.TryGetValue(key.RemoteAddress, out var owner) && owner.Pod is { } pod)
        {
            return ("workload", pod.Namespace, WorkloadOf(pod));
        }
        var peer = _table.Find(key.RemoteBytes, key.RemotePortNumber, key.Protocol);
        return (peer.Kind switch { PeerKind.Service => "service", PeerKind.Node => "node", _ => "class" }, peer.Namespace, peer.Name);
    }

    /// <summary>
    /// Which end has begun, where no packet shows it: the one opposite a known Service's port, else the one with the higher port, and of equal ports the higher
    /// address. The observer at the other end decides alike: else a sum over observers has the flow twice, or not at all.
    /// </summary>
    internal (bool IsLocalSource, FlowOrientation Orientation) Guess(FlowKey key)
    {
        var isServedRemotely = _table.IsServerPort(key.RemoteBytes, key.RemotePortNumber, key.Protocol);
        if (isServedRemotely != _table.IsServerPort(key.LocalBytes, key.LocalPortNumber, key.Protocol))
        {
            return (isServedRemotely, FlowOrientation.Service);
        }
        var order = key.LocalPortNumber.CompareTo(key.RemotePortNumber);
        return ((order == 0 ? key.LocalBytes.SequenceCompareTo(key.RemoteBytes) : order) >= 0, FlowOrientation.Port);
    }
}
