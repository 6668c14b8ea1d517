using System.Net;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// Finds the pod of an interface by the addresses in its peer namespace. An address is not an identity: the next pod gets it at once, and
/// the API server reports both later; after the node's boot it shows addresses from before. So a pod's claim to an address counts for one
/// namespace, and only for interfaces that are not newer than the newest sign that the pod has a sandbox with that address. Where signs do
/// not decide, the interface stays without a pod.
/// </summary>
/// <param name="bootedAt">When the node was started, by its clock: no interface is older.</param>
internal sealed class KubernetesPodSource(PodStore store, PodLabels labels, TimeProvider time, DateTimeOffset bootedAt, KubernetesMetrics? metrics = null) : IPodSource
{
    /// <summary>A pod's times are in whole seconds, rounded down; the kernel's events may be read a moment late.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(2);

    /// <summary>How long an interface has no pod before the API server is asked, and how much newer its answer must be than what it decides.</summary>
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

    /// <summary>When the API server was asked because of an interface without a pod, and those that were counted as undecided, by generation.</summary>
    private readonly Dictionary<long, DateTimeOffset> _askedAt = [];

    private readonly HashSet<long> _undecided = [];

    /// <summary>Interfaces that were released from a pod that turned out to have other addresses, by generation.</summary>
    private readonly HashSet<long> _released = [];

    private PodLabels _labels = labels;
    private long _changes = -1;
    private bool _isContested;
    private bool _isShown;

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

    /// <summary>The interfaces keep their pods and their places in the order: an interface is known by its generation.</summary>
    public void Resume(IEnumerable<PodInterface> interfaces)
    {
        var registered = _registered.Keys.ToDictionary(owner => owner.Generation);
        foreach (var owner in interfaces)
        {
            if (_known.TryGetValue(owner.Generation, out var claim) && claim.Taker is { } taker && taker.Generation == owner.Generation)
            {
                Continue(owner, taker);
                claim.Taker = owner;
            }
            if (registered.TryGetValue(owner.Generation, out var previous))
            {
                Continue(owner, previous);
                Unregister(previous);
                Register(owner);
            }
        }
    }

    public bool TakeChanges()
    {
        var changes = store.Changes;
        var hasChanged = changes != _changes || _isContested;
        (_changes, _isContested) = (changes, false);
        if (hasChanged || !_isShown)
        {
            ShowPods();
        }
        if (_ghosts.Count > 0)
        {
            SettleGhosts();
        }
        return hasChanged;
    }

    public PodIdentity? Identify(PodInterface owner)
    {
        if (_known.TryGetValue(owner.Generation, out var claim))
        {
            if (FindBetter(owner, claim) is { } better)
            {
                claim.Taker = null;
                Take(owner, better);
                claim = better;
            }
            else if (owner.GoneAt is null && IsRefuted(owner, claim))
            {
                Release(owner, claim);
                return null;
            }
            return claim.Pod.Identify(_labels);
        }
        Register(owner);
        claim = Find(owner);
        if (claim is null)
        {
            AskIfDue(owner);
            return null;
        }
        Unregister(owner);
        _askedAt.Remove(owner.Generation);
        _undecided.Remove(owner.Generation);
        _released.Remove(owner.Generation);
        Take(owner, claim);
        return claim.Pod.Identify(_labels);
    }

    public bool IsWrong(PodInterface owner) =>
        owner is { GoneAt: null, Pod: { } pod }
        && !_known.ContainsKey(owner.Generation)
        && (_released.Contains(owner.Generation) || IsElsewhere(owner, pod));

    public void Forget(PodInterface owner)
    {
        _isShown = false;
        _released.Remove(owner.Generation);
        _askedAt.Remove(owner.Generation);
        if (_known.Remove(owner.Generation))
        {
            return;
        }
        Register(owner);
        CountUndecided(owner);
        _undecided.Remove(owner.Generation);
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

    /// <summary>An object stands for an interface in place of a previous one.</summary>
    private static void Continue(PodInterface owner, PodInterface previous) =>
        (owner.Addresses, owner.AddressedAt, owner.GoneAt, owner.BornAfter) = (previous.Addresses, previous.AddressedAt, previous.GoneAt, previous.BornAfter);

    /// <summary>Whether the times allow that the interface is of the claim's sandbox.</summary>
    private bool MayBe(PodInterface owner, AddressClaim claim) =>
        !claim.IsDisputed
        && !(owner.SeenAt < claim.StartTime)
        && !(claim.EndTime < owner.SeenAt - Tolerance)
        && !(owner.GoneAt < claim.ListedAt)
        && !(owner.GoneAt < claim.SandboxAt)
        && IsSigned(owner, claim)
        && !IsRefuted(owner, claim);

    /// <summary>
    /// Whether a sign of the claim's sandbox is not older than the interface. Of an interface that was there before the exporter's first list
    /// only the node's boot is known to be older; for it, that the node took the pod up later is enough.
    /// </summary>
    private bool IsSigned(PodInterface owner, AddressClaim claim) =>
        owner.BornAfter is { } born ? claim.SignAt >= born : !((claim.SignAt > claim.StartTime ? claim.SignAt : claim.StartTime ?? claim.SignAt) < bootedAt);

    /// <summary>Whether the interface outlived the claim of a pod that has other addresses since; a kubelet may remove them for a moment.</summary>
    private static bool IsRefuted(PodInterface owner, AddressClaim claim) =>
        claim.EndTime is { } end && !(owner.GoneAt <= end + Tolerance) && HasOther(claim.Pod.State, owner);

    private static bool HasOther(PodState state, PodInterface owner) =>
        state.Addresses.Count > 0 && owner.Addresses.Count > 0 && !state.Addresses.Intersect(owner.Addresses).Any();

    /// <summary>
    /// Whether the pod that a previous process found for the interface has other addresses. A later pod of the same name, as of a StatefulSet, is
    /// another one.
    /// </summary>
    private bool IsElsewhere(PodInterface owner, PodIdentity pod) => store.Pods.Any(known =>
        known.State is { HostNetwork: false } state
        && (state.Description.Namespace, state.Description.Name) == (pod.Namespace, pod.Name)
        && HasOther(state, owner)
        && state.Addresses.SelectMany(address => store.GetClaims(address)).Any(claim => claim.Pod == known && claim.StartTime <= owner.SeenAt));

    private static bool IsLiving(AddressClaim claim) => claim is { EndTime: null, Pod.IsEnding: false };

    private static bool IsFree(AddressClaim claim) => claim.Taker is null or { GoneAt: not null };

    private void Take(PodInterface owner, AddressClaim claim)
    {
        _isShown = false;
        _known[owner.Generation] = claim;
        claim.Taker = owner;
    }

    /// <summary>The interface is nobody's until another claim is found. What it carries from now on waits for that.</summary>
    private void Release(PodInterface owner, AddressClaim claim)
    {
        _isShown = false;
        _known.Remove(owner.Generation);
        claim.Taker = claim.Taker == owner ? null : claim.Taker;
        _released.Add(owner.Generation);
        Register(owner);
        CountUndecided(owner);
    }

    /// <summary>
    /// Another claim to an address of an interface whose claim is over, or is wanted by an interface that has no other: a living pod's. What
    /// made the first one fit was late, or is an address that two pods have.
    /// </summary>
    private AddressClaim? FindBetter(PodInterface owner, AddressClaim current)
    {
        if (owner.GoneAt is not null || (IsLiving(current) && !IsContested(owner, current)))
        {
            return null;
        }
        return owner.Addresses
            .SelectMany(address => store.GetClaims(address))
            .LastOrDefault(claim => claim.Pod != current.Pod
                && IsLiving(claim)
                && (claim.Taker?.First == owner.First || (IsFree(claim) && MayBe(owner, claim) && (claim.Taker is null || IsProven(owner, claim)))));
    }

    /// <summary>Whether another interface that is there and has no pod may have the claim.</summary>
    private bool IsContested(PodInterface owner, AddressClaim claim) =>
        _waiting.TryGetValue(claim.Address, out var waiting)
        && waiting.Values.Any(other => other.First != owner.First && other.GoneAt is null && MayBe(other, claim));

    /// <summary>
    /// Whether another interface without a pod may have the claim, and the order does not decide, since pods were missed: the claim came with a
    /// list, or one of the two was there when a list took the place of events.
    /// </summary>
    private bool IsAmbiguous(PodInterface owner, IPAddress address, AddressClaim claim) =>
        _waiting[address].Values.Any(other => other.First != owner.First
            && MayBe(other, claim)
            && (claim.IsListed || owner.SeenAt < store.GapAt || other.SeenAt < store.GapAt));

    /// <summary>
    /// Asks the API server for the node's pods, once for each interface, and again if it reported something since that the answer may decide.
    /// </summary>
    private void AskIfDue(PodInterface owner)
    {
        var now = time.GetUtcNow();
        if (owner.GoneAt is not null || owner.Addresses.Count == 0 || store.ListedAt is not { } listedAt)
        {
            return;
        }
        if (now - owner.SeenAt > store.Keep)
        {
            CountUndecided(owner);
        }
        var due = (owner.SeenAt > listedAt ? owner.SeenAt : listedAt) + Settling;
        if (_askedAt.TryGetValue(owner.Generation, out var askedAt))
        {
            due = owner.Addresses.Select(address => FindUnsettled(owner, store.GetClaims(address))).OfType<AddressClaim>().FirstOrDefault() is { } claim
                ? SettledAt(owner, claim)
                : DateTimeOffset.MaxValue;
        }
        if (now >= due && askedAt < due && store.CompleteAt < due)
        {
            _askedAt[owner.Generation] = now;
            store.Questions.Set();
        }
    }

    private void CountUndecided(PodInterface owner)
    {
        if (owner.Addresses.Any(address => !store.GetClaims(address).IsEmpty) && _undecided.Add(owner.Generation))
        {
            metrics?.Undecided.Inc();
        }
    }

    private void ShowPods()
    {
        _isShown = true;
        if (metrics is null)
        {
            return;
        }
        var found = _known.Values.Where(claim => claim.Taker is { GoneAt: null }).Select(claim => claim.Pod).ToHashSet();
        var (with, without, host) = (0, 0, 0);
        foreach (var pod in store.Pods.Where(pod => pod.State is { Phase: not ("Succeeded" or "Failed") } state && (state.HostNetwork || state.Addresses.Count > 0)))
        {
            if (pod.State.HostNetwork)
            {
                host++;
            }
            else if (found.Contains(pod))
            {
                with++;
            }
            else
            {
                without++;
            }
        }
        metrics.SetPods(with, without, host);
    }

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
                Dispute(ghost);
                Unregister(ghost);
            }
            else
            {
                _ghosts.Enqueue(ghost);
            }
        }
    }

    /// <summary>Forgetting an interface does not decide ambiguous claims: those that are over and that it may have had go to no other.</summary>
    private void Dispute(PodInterface ghost)
    {
        foreach (var address in _registered.GetValueOrDefault(ghost, []))
        {
            foreach (var claim in store.GetClaims(address).Where(claim => claim is { Taker: null, EndTime: not null } && MayBe(ghost, claim) && IsAmbiguous(ghost, address, claim)))
            {
                claim.IsDisputed = true;
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
            _isContested |= owner.GoneAt is null && store.GetClaims(address).Any(claim => claim.Taker is { GoneAt: null });
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
            if (!claims.IsEmpty && (FindShared(owner, claims) ?? FindProven(owner, address, claims) ?? FindNext(owner, address, claims) ?? FindSettled(owner, claims)) is { } claim)
            {
                return claim;
            }
        }
        return null;
    }

    /// <summary>Another interface leads to the same namespace.</summary>
    private static AddressClaim? FindShared(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        claims.LastOrDefault(claim => claim.Taker?.First == owner.First && !IsRefuted(owner, claim));

    /// <summary>
    /// The claim of a pod that had a sandbox with this address since the interface has it: on one node no two sandboxes have it at once. So
    /// also a sandbox is found that was made again for the same pod. The interface alone may be there while the previous sandbox still runs.
    /// </summary>
    private AddressClaim? FindProven(PodInterface owner, IPAddress address, IEnumerable<AddressClaim> claims) =>
        owner.GoneAt is not null || _waiting[address].Values.Any(other => other.First != owner.First && other.GoneAt is null)
            ? null
            : claims.LastOrDefault(claim => IsFree(claim) && IsProven(owner, claim) && !(claim.EndTime < owner.SeenAt) && !IsRefuted(owner, claim));

    private static bool IsProven(PodInterface owner, AddressClaim claim) => claim.SandboxAt >= owner.AddressedAt;

    /// <summary>The claim that is left when the interfaces that had the address before have had theirs.</summary>
    private AddressClaim? FindNext(PodInterface owner, IPAddress address, IEnumerable<AddressClaim> claims)
    {
        var free = claims.Where(claim => claim.Taker is null).ToList();
        // An interface that may have one of these has a later claim only if it has none of them, which nothing decides.
        var undecided = new List<AddressClaim>();
        foreach (var other in _waiting[address].Values)
        {
            var claim = Choose(other, address, free, out var isAmbiguous);
            isAmbiguous |= claim is not null && !(other.GoneAt is null && IsLiving(claim)) && undecided.Exists(each => MayBe(other, each));
            if (other == owner)
            {
                return isAmbiguous ? null : claim;
            }
            // Of a pod that has several interfaces, the first takes the claim for all.
            if (claim is null || other.First == owner.First)
            {
                continue;
            }
            if (isAmbiguous)
            {
                undecided.AddRange(free.FindAll(each => MayBe(other, each)));
                free.RemoveAll(undecided.Contains);
            }
            else
            {
                free.Remove(claim);
            }
        }
        return null;
    }

    /// <summary>
    /// The oldest of the claims that fit, but a living pod's for an interface that is there: what is ending had the address before. Of
    /// claims in one list the newest sign decides. What is ambiguous is left until the others have theirs, and so is what comes after it.
    /// </summary>
    private AddressClaim? Choose(PodInterface owner, IPAddress address, List<AddressClaim> free, out bool isAmbiguous)
    {
        var fitting = free.FindAll(claim => MayBe(owner, claim));
        var living = owner.GoneAt is null ? fitting.FindAll(claim => IsLiving(claim) && !IsAmbiguous(owner, address, claim)) : [];
        isAmbiguous = living.Count == 0 && fitting.Count > 0 && IsAmbiguous(owner, address, fitting[0]);
        return living.Count == 0 ? fitting.FirstOrDefault()
            : owner.BornAfter is null ? living.MaxBy(claim => claim.SignAt ?? DateTimeOffset.MinValue)
            : living[0];
    }

    /// <summary>
    /// The claim of a pod that lives on without an interface, where nobody else has claimed the address: its sandbox was made again, or its
    /// times say nothing. That the pod has ended meanwhile, and who has the address now, is in a list that was asked for some seconds later.
    /// </summary>
    private AddressClaim? FindSettled(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        FindUnsettled(owner, claims) is { } claim && store.CompleteAt >= SettledAt(owner, claim) ? claim : null;

    /// <summary>Only a sign that is not older than the interface counts, or an event since of a pod whose previous interface is gone.</summary>
    private AddressClaim? FindUnsettled(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        owner.GoneAt is null
        && claims.LastOrDefault() is { } last
        && IsLiving(last)
        && IsFree(last)
        && !IsContested(owner, last)
        && (IsSigned(owner, last) || (last.Taker is not null && last.Pod.ChangedAt > owner.SeenAt))
            ? last
            : null;

    private static DateTimeOffset SettledAt(PodInterface owner, AddressClaim claim) =>
        (claim.Pod.ChangedAt > owner.SeenAt ? claim.Pod.ChangedAt : owner.SeenAt) + Settling;
}
