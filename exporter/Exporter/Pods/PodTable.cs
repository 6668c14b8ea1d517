using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Exporter.Bpf.Contract;
using Exporter.Bpf.Netlink;

namespace Exporter.Pods;

/// <summary>What the exporter does with an interface of a pod.</summary>
internal enum InterfaceState
{
    /// <summary>Found, not attached yet.</summary>
    Pending,

    /// <summary>Counted.</summary>
    Attached,

    /// <summary>Attaching failed; it is tried again.</summary>
    Failed,

    /// <summary>Attached, but its packets do not reach the programs.</summary>
    Shadowed,
}

/// <summary>
/// An interface that is counted, during one life of its index. Written by the reconciler, read by anybody.
/// </summary>
/// <param name="link">As it was when it was first seen.</param>
/// <param name="generation">Tells apart owners of an index that came back: greater than that of every interface before.</param>
/// <param name="seenAt">When it was first seen: it is not younger than that.</param>
internal sealed class PodInterface(Link link, long generation, DateTimeOffset seenAt)
{
    private Link _link = link;
    private PodIdentity? _pod;
    private IPodCounts? _counts;
    private IReadOnlyList<IPAddress> _addresses = [];
    private volatile InterfaceState _state;

    internal int Ifindex { get; } = link.Ifindex;

    internal long Generation => generation;

    internal DateTimeOffset SeenAt => seenAt;

    /// <summary>It was not there before that time; null if it may be as old as the node's boot. For the source of pods alone.</summary>
    internal DateTimeOffset? BornAfter { get; set; }

    /// <summary>As it was when it was last seen.</summary>
    internal Link Link
    {
        get => Volatile.Read(ref _link);
        set => Volatile.Write(ref _link, value);
    }

    internal string Name => Link.Name;

    /// <summary>What proves over time that it is this interface. For the reconciler alone.</summary>
    internal LinkIdentity Identity { get; set; }

    /// <summary>What it has carried by its own counters and was not counted. For the reconciler alone.</summary>
    internal UncountedPackets Uncounted { get; set; }

    /// <summary>Whose it is; null until that is known.</summary>
    internal PodIdentity? Pod
    {
        get => Volatile.Read(ref _pod);
        set => Volatile.Write(ref _pod, value);
    }

    /// <summary>Where its traffic goes; null until it is known whose it is.</summary>
    internal IPodCounts? Counts
    {
        get => Volatile.Read(ref _counts);
        set => Volatile.Write(ref _counts, value);
    }

    /// <summary>In the namespace that it leads to, those aside that say nothing of whose it is; empty until they are known.</summary>
    internal IReadOnlyList<IPAddress> Addresses
    {
        get => Volatile.Read(ref _addresses);
        set => Volatile.Write(ref _addresses, value);
    }

    /// <summary>When it first was seen to have addresses; null before. For the reconciler and the source of pods, which share a thread.</summary>
    internal DateTimeOffset? AddressedAt { get; set; }

    internal InterfaceState State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>Of the interfaces that lead to the same namespace, the one that was there before the others.</summary>
    internal PodInterface First => Sibling?.First ?? this;

    /// <summary>An older interface whose peer namespace is the same; null where there is none. Set before the interface is published.</summary>
    internal PodInterface? Sibling { get; set; }

    /// <summary>When it was found to be gone; null while it is there. For the reconciler alone.</summary>
    internal DateTimeOffset? GoneAt { get; set; }

    /// <summary>What was counted on it, by previous processes too.</summary>
    internal InterfaceTotals Totals { get; } = new();

    /// <summary>Keeps its totals for the next process; null: nothing does. It belongs to the ledger's lock.</summary>
    internal IInterfaceRecord? Record { get; set; }

    /// <summary>Adds what a drain has counted on it. The caller holds the ledger's lock, and commits.</summary>
    internal void Count(in TrafficValue traffic)
    {
        Totals.Add(traffic.Transmit.Total, traffic.Receive.Total);
        Record?.Add(traffic);
    }
}

/// <summary>
/// Packets that an interface has carried, and that were not counted, from the pod's point of view: those from before it was known, and from
/// while it had no programs. Null where that is not known.
/// </summary>
internal readonly record struct UncountedPackets(ulong? Transmitted, ulong? Received);

/// <summary>Where that goes which was counted for a pod. Used by the drain alone.</summary>
internal interface IPodCounts
{
    /// <summary>Whether it has not all series of its own. May be asked by anybody.</summary>
    bool IsFolded { get; }

    void Add(in TrafficValue traffic);

    void Add(in HandshakeValue handshakes);
}

/// <summary>The place where an interface's totals outlive the process.</summary>
internal interface IInterfaceRecord
{
    void Add(in TrafficValue traffic);
}

/// <summary>
/// What was counted on one interface, from the pod's point of view. Written by the drain, read by anybody: a
/// reader may see one drain's numbers half added, and sees them whole the next time.
/// </summary>
internal sealed class InterfaceTotals
{
    private ulong _transmittedPackets;
    private ulong _transmittedBytes;
    private ulong _receivedPackets;
    private ulong _receivedBytes;

    internal (ulong Packets, ulong Bytes) Transmitted => (Volatile.Read(ref _transmittedPackets), Volatile.Read(ref _transmittedBytes));

    internal (ulong Packets, ulong Bytes) Received => (Volatile.Read(ref _receivedPackets), Volatile.Read(ref _receivedBytes));

    internal void Add(in TrafficCount transmitted, in TrafficCount received)
    {
        Volatile.Write(ref _transmittedPackets, _transmittedPackets + transmitted.Packets);
        Volatile.Write(ref _transmittedBytes, _transmittedBytes + transmitted.Bytes);
        Volatile.Write(ref _receivedPackets, _receivedPackets + received.Packets);
        Volatile.Write(ref _receivedBytes, _receivedBytes + received.Bytes);
    }
}

/// <summary>
/// The interfaces that are counted now, by index. The reconciler publishes a new table with every change; readers take
/// <see cref="Current"/> once and work on that.
/// </summary>
internal sealed class PodTable
{
    private ImmutableDictionary<int, PodInterface> _current = ImmutableDictionary<int, PodInterface>.Empty;
    private ImmutableDictionary<ulong, PodInterface> _networks = ImmutableDictionary<ulong, PodInterface>.Empty;
    private FrozenSet<ulong> _peerNamespaces = [];

    internal ImmutableDictionary<int, PodInterface> Current
    {
        get => Volatile.Read(ref _current);
        set => Volatile.Write(ref _current, value);
    }

    /// <summary>The peer namespaces of all interfaces that there are, also of those that are not counted yet. Written by the watcher of interfaces.</summary>
    internal FrozenSet<ulong> PeerNamespaces
    {
        get => Volatile.Read(ref _peerNamespaces);
        set => Volatile.Write(ref _peerNamespaces, value);
    }

    /// <summary>One interface of each network namespace that is known, by the number that the BPF programs know it by.</summary>
    internal ImmutableDictionary<ulong, PodInterface> Networks
    {
        get => Volatile.Read(ref _networks);
        set => Volatile.Write(ref _networks, value);
    }
}
