using System.Net;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// Finds the pod of an interface by the addresses in the namespace that it leads to. An address is no identity: it is given to the next
/// pod at once, and the API server tells of both only later. So for each address the interfaces that had it and the pods that had it
/// are taken in their orders, each claim for one namespace, and only where their times allow it.
/// </summary>
internal sealed class KubernetesPodSource(PodStore store, PodLabels labels, TimeProvider time) : IPodSource
{
    /// <summary>A pod's times are in whole seconds, rounded down; the kernel's events may be read a moment late.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(2);

    /// <summary>How much later than it told of a pod the API server must be heard of, before an interface that waits may be that pod's new one.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(5);

    /// <summary>An outage of the API server must not take the memory.</summary>
    private const int MaxGhosts = 4096;

    /// <summary>Those whose pod is not known, by address and in the order in which they came.</summary>
    private readonly Dictionary<IPAddress, SortedDictionary<long, PodInterface>> _waiting = [];

    /// <summary>The addresses by which an interface is among the waiting.</summary>
    private readonly Dictionary<PodInterface, IReadOnlyList<IPAddress>> _registered = [];

    /// <summary>By the interface's generation.</summary>
    private readonly Dictionary<long, AddressClaim> _known = [];

    /// <summary>Interfaces that are gone and not asked for any more, but whose pods may still be told of.</summary>
    private readonly Queue<PodInterface> _ghosts = new();

    private PodLabels _labels = labels;
    private long _changes = -1;

    public string Name => "kubernetes";

    /// <summary>
    /// Options have changed: pods are shown with these labels, and claims that are over are kept for another time. Called between two sessions.
    /// </summary>
    internal void Configure(PodLabels labels, TimeSpan keep)
    {
        Volatile.Write(ref _labels, labels);
        store.Keep = keep;
        _changes = -1;
    }

    public void Refresh()
    {
    }

    /// <summary>
    /// The interfaces keep their pods and their places in the order: an interface is known by its generation, whatever object stands for it.
    /// </summary>
    public void Resume(IEnumerable<PodInterface> interfaces)
    {
        var registered = _registered.Keys.ToDictionary(owner => owner.Generation);
        foreach (var owner in interfaces)
        {
            if (_known.TryGetValue(owner.Generation, out var claim) && claim.Taker is { } taker && taker.Generation == owner.Generation)
            {
                (owner.Addresses, owner.GoneAt) = (taker.Addresses, taker.GoneAt);
                claim.Taker = owner;
            }
            if (registered.TryGetValue(owner.Generation, out var previous))
            {
                (owner.Addresses, owner.GoneAt) = (previous.Addresses, previous.GoneAt);
                Unregister(previous);
                Register(owner);
            }
        }
    }

    public bool TakeChanges()
    {
        var changes = store.Changes;
        var hasChanged = changes != _changes;
        _changes = changes;
        if (_ghosts.Count > 0)
        {
            SettleGhosts();
        }
        return hasChanged;
    }

    public PodIdentity? Identify(PodInterface owner)
    {
        if (!_known.TryGetValue(owner.Generation, out var claim))
        {
            Register(owner);
            claim = Find(owner);
            if (claim is null)
            {
                return null;
            }
            Unregister(owner);
            _known[owner.Generation] = claim;
            claim.Taker = owner;
        }
        return claim.Pod.Identify(_labels);
    }

    public void Forget(PodInterface owner)
    {
        if (_known.Remove(owner.Generation))
        {
            return;
        }
        Register(owner);
        if (_registered.ContainsKey(owner))
        {
            // It stays in the order, else its pod's claim would be the next one's.
            _ghosts.Enqueue(owner);
        }
    }

    public IEnumerable<KnownPod> GetKnownPods()
    {
        var shown = Volatile.Read(ref _labels);
        return store.Pods.Select(pod => (Pod: pod, pod.State)).Select(known =>
            new KnownPod(known.Pod.Identify(shown), known.State.Phase, known.State.HostNetwork, known.State.Addresses));
    }

    /// <summary>A pod's interface is made after the node has taken the pod up, and not when it is over.</summary>
    private static bool MayBe(PodInterface owner, AddressClaim claim) =>
        !(owner.SeenAt < claim.StartTime) && !(claim.EndTime < owner.SeenAt - Tolerance) && !(owner.GoneAt < claim.ListedAt);

    private void SettleGhosts()
    {
        for (var left = _ghosts.Count; left > 0; left--)
        {
            var ghost = _ghosts.Dequeue();
            if (Find(ghost) is { } claim)
            {
                claim.Taker = ghost;
                Unregister(ghost);
            }
            else if (_ghosts.Count >= MaxGhosts || IsTooOld(ghost))
            {
                Unregister(ghost);
            }
            else
            {
                _ghosts.Enqueue(ghost);
            }
        }
    }

    /// <summary>Whether its pod would have been told of, now that everything is.</summary>
    private bool IsTooOld(PodInterface ghost) =>
        store.CurrentSince is { } since && time.GetUtcNow() - since > store.Keep && store.HeardAt - ghost.GoneAt > store.Keep;

    private void Register(PodInterface owner)
    {
        var addresses = owner.Addresses;
        // One whose namespace is being taken down may have lost its addresses, and keeps its place.
        if (addresses.Count == 0 || _registered.GetValueOrDefault(owner, []) == addresses)
        {
            return;
        }
        Unregister(owner);
        foreach (var address in addresses)
        {
            if (!_waiting.TryGetValue(address, out var waiting))
            {
                _waiting[address] = waiting = [];
            }
            waiting[owner.Generation] = owner;
        }
        _registered[owner] = addresses;
    }

    private void Unregister(PodInterface owner)
    {
        if (!_registered.Remove(owner, out var addresses))
        {
            return;
        }
        foreach (var address in addresses)
        {
            if (_waiting.TryGetValue(address, out var waiting) && waiting.Remove(owner.Generation) && waiting.Count == 0)
            {
                _waiting.Remove(address);
            }
        }
    }

    private AddressClaim? Find(PodInterface owner)
    {
        foreach (var address in _registered.GetValueOrDefault(owner, []))
        {
            var claims = store.GetClaims(address);
            if (!claims.IsEmpty && (FindShared(owner, claims) ?? FindNext(owner, address, claims) ?? FindCurrent(owner, claims)) is { } claim)
            {
                return claim;
            }
        }
        return null;
    }

    /// <summary>Another interface leads to the same namespace.</summary>
    private static AddressClaim? FindShared(PodInterface owner, IEnumerable<AddressClaim> claims) => claims.LastOrDefault(claim => claim.Taker?.First == owner.First);

    /// <summary>The claim that is left when those who had the address before have had theirs.</summary>
    private AddressClaim? FindNext(PodInterface owner, IPAddress address, IEnumerable<AddressClaim> claims)
    {
        var free = claims.Where(claim => claim.Taker is null).ToList();
        foreach (var other in _waiting[address].Values)
        {
            var claim = free.Find(claim => MayBe(other, claim));
            if (other == owner)
            {
                return claim;
            }
            // Of a pod that has several interfaces, the first takes the claim for all.
            if (claim is not null && other.First != owner.First)
            {
                free.Remove(claim);
            }
        }
        return null;
    }

    /// <summary>
    /// A pod that goes on has been told of since, has no interface, and nobody else has claimed the address: its sandbox was made anew
    /// with the same address, or its times say nothing, as after a kubelet's restart. That the pod has ended meanwhile, and who has the address
    /// now, would have been told by the time that the API server is heard of again some seconds later, if only by a bookmark.
    /// </summary>
    private AddressClaim? FindCurrent(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        claims.LastOrDefault() is { EndTime: null, Pod.IsEnding: false } last
        && last.Taker is null or { GoneAt: not null }
        && owner.GoneAt is null
        && last.Pod.ChangedAt > owner.SeenAt
        && store.CurrentSince is { } since
        && store.HeardAt - (since > last.Pod.ChangedAt ? since : last.Pod.ChangedAt) >= Settling
            ? last
            : null;
}
