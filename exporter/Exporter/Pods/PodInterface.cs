using System.Net;
using Exporter.Bpf.Netlink;

namespace Exporter.Pods;

/// <summary>
/// An interface that is counted, during one life of its index. Written by the reconciler, read by anybody.
/// </summary>
/// <param name="link">As it was when it was first seen.</param>
/// <param name="generation">Distinguishes owners of an index that came back: greater than the generation of every interface before.</param>
/// <param name="seenAt">When it was first seen: it is not younger than that.</param>
internal sealed class PodInterface(Link link, long generation, DateTimeOffset seenAt)
{
    private Link _link = link;
    private PodIdentity? _pod;
    private IPodAccount? _counts;
    private IReadOnlyList<IPAddress> _addresses = [];
    private IReadOnlyList<IPAddress> _innerAddresses = [];
    private volatile InterfaceState _state;
    private DateTimeOffset? _steadySeenAt;

    internal int Ifindex { get; } = link.Ifindex;

    internal long Generation => generation;

    internal DateTimeOffset SeenAt => seenAt;

    /// <summary>When it was first seen, by a clock that no program sets: kept from the first call on. For one thread alone.</summary>
    /// <param name="now">By the clock of <see cref="SeenAt"/>, which may have been set since: then not before the steady clock's beginning, and not later than now.</param>
    /// <param name="steady">The same time by the other clock.</param>
    internal DateTimeOffset SeenAtBySteadyClock(DateTimeOffset now, DateTimeOffset steady)
    {
        if (_steadySeenAt is not { } seen)
        {
            var (age, most) = (now - seenAt, steady - DateTimeOffset.MinValue);
            _steadySeenAt = seen = steady - (age < TimeSpan.Zero ? TimeSpan.Zero : age > most ? most : age);
        }
        return seen;
    }

    /// <summary>It was not there before that time; null if it may be as old as the node's boot. For the source of pods alone.</summary>
    internal DateTimeOffset? BornAfter { get; set; }

    /// <summary>As it was when it was last seen.</summary>
    internal Link Link
    {
        get => Volatile.Read(ref _link);
        set => Volatile.Write(ref _link, value);
    }

    internal string Name => Link.Name;

    /// <summary>The identity that proves over time that it is this interface. For the reconciler alone.</summary>
    internal LinkIdentity Identity { get; set; }

    /// <summary>Packets that it has carried by its own counters and that were not counted. For the reconciler alone.</summary>
    internal UncountedPackets Uncounted { get; set; }

    /// <summary>The pod that it belongs to; null until that is known.</summary>
    internal PodIdentity? Pod
    {
        get => Volatile.Read(ref _pod);
        set => Volatile.Write(ref _pod, value);
    }

    /// <summary>The account that its traffic is added to; null until its pod is known.</summary>
    internal IPodAccount? Counts
    {
        get => Volatile.Read(ref _counts);
        set => Volatile.Write(ref _counts, value);
    }

    /// <summary>Addresses in the peer namespace, without loopback and link-local ones; empty until they are known.</summary>
    internal IReadOnlyList<IPAddress> Addresses
    {
        get => Volatile.Read(ref _addresses);
        set => Volatile.Write(ref _addresses, value);
    }

    /// <summary>
    /// The part of <see cref="Addresses"/> that only other interfaces of the peer namespace have, as bridges, tunnels and lo: any pod may give itself such an address,
    /// and many have the same. Empty where the pair's own end has no address.
    /// </summary>
    internal IReadOnlyList<IPAddress> InnerAddresses
    {
        get => Volatile.Read(ref _innerAddresses);
        set => Volatile.Write(ref _innerAddresses, value);
    }

    /// <summary>When it first was seen to have addresses; null before. For the reconciler and the source of pods, which share a thread.</summary>
    internal DateTimeOffset? AddressedAt { get; set; }

    /// <summary>When it first was seen to have addresses; where that is not known, when it first was seen.</summary>
    internal DateTimeOffset AddressedOrSeenAt => AddressedAt ?? SeenAt;

    /// <summary>It had no addresses then, and none before; null where it was never seen without. For the same thread.</summary>
    internal DateTimeOffset? WithoutAddressesAt { get; set; }

    /// <summary>When it first was seen to have addresses by a clock that no program sets; 0 before. For the same thread.</summary>
    internal long AddressedStamp { get; set; }

    internal InterfaceState State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>Of the interfaces with the same peer namespace, the one that was there first.</summary>
    internal PodInterface First => Sibling?.First ?? this;

    /// <summary>An older interface whose peer namespace is the same; null where there is none. Set before the interface is published.</summary>
    internal PodInterface? Sibling { get; set; }

    /// <summary>When it was found to be gone; null while it is there. Written by the reconciler.</summary>
    internal DateTimeOffset? GoneAt { get; set; }

    /// <summary>Counts of the interface, by previous processes too.</summary>
    internal InterfaceTotals Totals { get; } = new();

    /// <summary>Keeps its totals for the next process; null: nothing does. It belongs to the ledger's lock.</summary>
    internal IInterfaceRecord? Record { get; set; }
}
