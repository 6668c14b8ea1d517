using Exporter.Peers;
using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>Names the ends of flows. Made names are kept, since most records are of a few of them. Used by the drain alone.</summary>
/// <param name="node">The node's own addresses.</param>
internal sealed class FlowEnds(PodTable pods, Func<PeerTable> peers, NodeAddresses node)
{
    /// <summary>Names are made again when there are more: peers come and go.</summary>
    private const int MaxNames = 16_384;

    /// <summary>An interface is first seen by an event that comes a little after it was made.</summary>
    private static readonly TimeSpan LatestEvent = TimeSpan.FromSeconds(1);

    private readonly Dictionary<long, (PodIdentity Pod, RecordEnd End)> _pods = [];
    private readonly Dictionary<Peer, RecordEnd> _peers = [];

    /// <summary>The interfaces with an address of their own, the newest first: mostly one.</summary>
    private readonly Dictionary<FlowAddress, Holder> _addresses = [];

    /// <summary>An interface of the one pod that has an address inside of it; null: several pods have it, as with the bridge of Docker.</summary>
    private readonly Dictionary<FlowAddress, Holder?> _inner = [];

    private PeerTable _table = peers();

    /// <summary>Takes the interfaces, the node's addresses and the peers of now.</summary>
    /// <param name="readAt">When the interval was read.</param>
    /// <param name="steady">The same time by the steady clock.</param>
    internal void Refresh(DateTimeOffset readAt, DateTimeOffset steady)
    {
        _table = peers();
        node.Refresh();
        if (_pods.Count > MaxNames)
        {
            _pods.Clear();
        }
        if (_peers.Count > MaxNames)
        {
            _peers.Clear();
        }
        _addresses.Clear();
        _inner.Clear();
        foreach (var owner in pods.Current.Values.OrderBy(owner => owner.Generation))
        {
            // In the first interval after it was seen: the clock may be set before its first flow.
            var seenAt = owner.SeenAtBySteadyClock(readAt, steady);
            var bornAfter = owner.BornAfter is { } born && owner.SeenAt - born < seenAt - DateTimeOffset.MinValue ? seenAt - (owner.SeenAt - born) : DateTimeOffset.MinValue;
            var (inner, claimed) = (owner.InnerAddresses, owner.Pod?.Addresses ?? []);
            foreach (var address in owner.Addresses)
            {
                var (key, isClaimed) = (FlowAddress.From(address), claimed.Contains(address));
                if (isClaimed || !inner.Contains(address))
                {
                    _addresses[key] = new(owner, bornAfter, isClaimed || claimed.Count == 0, _addresses.GetValueOrDefault(key));
                }
                else
                {
                    var isOther = _inner.TryGetValue(key, out var other) && other?.Owner.First != owner.First;
                    _inner[key] = isOther ? null : new(owner, bornAfter, IsSure: false, Previous: null);
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
    /// <param name="last">Its last packet, by the steady clock: a later owner of the address is another end.</param>
    /// <param name="isVip">Whether it is a Service's own address: then conntrack knows the backend.</param>
    internal RecordEnd? FindRemote(in FlowKey key, DateTimeOffset last, out bool isVip)
    {
        isVip = false;
        if ((FindOwner(key, last) ?? FindInner(key, last)) is { } owner)
        {
            return FindPod(owner);
        }
        var peer = FindPeer(key);
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
    /// <inheritdoc cref="FindRemote" path="/param"/>
    internal (string Kind, string Namespace, string Name) FindPeer(in FlowKey key, DateTimeOffset last)
    {
        if ((FindOwner(key, last) ?? FindInner(key, last))?.Pod is { } pod)
        {
            return ("workload", pod.Namespace, WorkloadOf(pod));
        }
        var peer = FindPeer(key);
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

    /// <summary>Whether other nodes are to know an address of an interface as its pod's. What several pods may have would name the wrong one there.</summary>
    internal bool Has(PodInterface owner, FlowAddress address)
    {
        var newest = _addresses.GetValueOrDefault(address);
        if (Holders(newest).FirstOrDefault(holder => holder.Owner == owner) is not { } own)
        {
            return false;
        }
        var others = Holders(newest).Where(holder => holder.Owner.First != owner.First).ToList();
        return own.IsSure
            ? owner.GoneAt is not null || !others.Exists(other => other is { IsSure: true, Owner.GoneAt: null } && other.Owner.Generation > owner.Generation)
            : !node.Has(address) && !others.Exists(other => other.IsSure || (other.Owner.GoneAt is null && other.Owner.Generation > owner.Generation));
    }

    private static IEnumerable<Holder> Holders(Holder? newest)
    {
        for (var holder = newest; holder is not null; holder = holder.Previous)
        {
            yield return holder;
        }
    }

    private Peer FindPeer(in FlowKey key) => _table.Find(key.RemoteBytes, key.RemotePortNumber, key.Protocol, node.Has(key.RemoteAddress) ? node.Name : null);

    /// <summary>The interface that had the other end's address then; null: none of this node's pods had it.</summary>
    private PodInterface? FindOwner(in FlowKey key, DateTimeOffset last)
    {
        var newest = _addresses.GetValueOrDefault(key.RemoteAddress);
        Holder? found = null;
        for (var holder = newest; holder is not null && found is not { IsSure: true }; holder = holder.Previous)
        {
            if (holder.BornAfter <= last && (found is null || holder.IsSure))
            {
                found = holder;
            }
        }
        found ??= newest is { Previous: null } && newest.BornAfter - last < LatestEvent ? newest : null;
        return found is null || (!found.IsSure && node.Has(key.RemoteAddress)) ? null : found.Owner;
    }

    /// <summary>
    /// The interface of the one pod with an address inside of it, where nothing else is known of the address: a cluster in a pod has the addresses of the
    /// outer one's nodes and Services.
    /// </summary>
    private PodInterface? FindInner(in FlowKey key, DateTimeOffset last) =>
        _inner.GetValueOrDefault(key.RemoteAddress) is { } holder && holder.BornAfter <= last && FindPeer(key) is { Kind: PeerKind.Class, Class: not PeerClasses.Pods } ? holder.Owner : null;

    /// <param name="BornAfter">It was not there before, by the steady clock.</param>
    /// <param name="IsSure">Whether it is its pod's as far as is known. Else the API server has other addresses of the pod: it may be of a second network, or taken from another pod.</param>
    /// <param name="Previous">The interface that had the address before; null: there was none.</param>
    private sealed record Holder(PodInterface Owner, DateTimeOffset BornAfter, bool IsSure, Holder? Previous);
}
