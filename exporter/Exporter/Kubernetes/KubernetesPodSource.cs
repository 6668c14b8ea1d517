using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// Finds the pod of an interface by the addresses in its peer namespace. An address is not an identity: the next pod gets it at once, and
/// the API server reports both later; after the node's boot it shows addresses from before. So a pod's claim to an address counts for one
/// namespace, and only for interfaces that are not newer than the newest sign that the pod has a sandbox with that address. Where signs do
/// not decide, the interface stays without a pod.
/// </summary>
internal sealed class KubernetesPodSource : IPodSource
{
    /// <summary>The limit for departed interfaces that wait for their pods: an outage of the API server must not take the memory.</summary>
    private const int MaxDeparted = 4096;

    private readonly PodStore _store;
    private readonly TimeProvider _time;
    private readonly KubernetesMetrics? _metrics;
    private readonly WaitingInterfaces _waiting = new();
    private readonly ClaimMatcher _matcher;
    private readonly PodQuestions _questions;

    /// <summary>Claims that were matched, by the interface's generation.</summary>
    private readonly Dictionary<long, AddressClaim> _known = [];

    /// <summary>Interfaces that are gone and forgotten by the reconciler, but whose pods may still be reported.</summary>
    private readonly Queue<PodInterface> _departed = new();

    /// <summary>Interfaces that were released from a pod that turned out to have other addresses, by generation.</summary>
    private readonly HashSet<long> _released = [];

    private PodLabels _labels;
    private long _changes = -1;
    private bool _isContested;
    private bool _isShown;

    /// <param name="bootedAt">When the node was started, by its clock: no interface is older.</param>
    internal KubernetesPodSource(PodStore store, PodLabels labels, TimeProvider time, DateTimeOffset bootedAt, KubernetesMetrics? metrics = null)
    {
        (_store, _labels, _time, _metrics) = (store, labels, time, metrics);
        _matcher = new(store, _waiting, new(bootedAt));
        _questions = new(store, _matcher, time, metrics);
    }

    public string Name => "kubernetes";

    public bool IsListed => _store.ListedAt is not null;

    /// <summary>
    /// Applies changed options: the labels that pods are shown with, and how long claims that are over are kept. Called between two sessions.
    /// </summary>
    internal void Configure(PodLabels labels, TimeSpan keep)
    {
        Volatile.Write(ref _labels, labels);
        _store.Keep = keep;
        _changes = -1;
    }

    public void Refresh()
    {
    }

    /// <summary>The interfaces keep their pods and their places in the order: an interface is known by its generation.</summary>
    public void Resume(IEnumerable<PodInterface> interfaces)
    {
        var waiting = _waiting.All.ToDictionary(owner => owner.Generation);
        var resumed = interfaces.ToDictionary(owner => owner.Generation);
        foreach (var owner in resumed.Values)
        {
            if (_known.TryGetValue(owner.Generation, out var claim) && claim.Interfaces.FirstOrDefault(each => each.Generation == owner.Generation) is { } matched)
            {
                Continue(owner, matched, resumed);
                claim.Replace(matched, owner);
            }
            if (waiting.TryGetValue(owner.Generation, out var previous))
            {
                Continue(owner, previous, resumed);
                _waiting.Remove(previous);
                Wait(owner);
            }
        }
    }

    public bool TakeChanges()
    {
        var changes = _store.Changes;
        var hasChanged = changes != _changes || _isContested;
        (_changes, _isContested) = (changes, false);
        if (hasChanged || !_isShown)
        {
            ShowPods();
        }
        if (_departed.Count > 0)
        {
            MatchDeparted();
        }
        if (_matcher.GivenUpAt is not null && IsTooOld(_matcher.GivenUpAt))
        {
            _matcher.GivenUpAt = null;
        }
        return hasChanged;
    }

    public PodIdentity? Identify(PodInterface owner)
    {
        if (_known.TryGetValue(owner.Generation, out var claim))
        {
            if (_matcher.FindBetter(owner, claim) is { } better)
            {
                Move(owner, claim, better);
                claim = better;
            }
            else if (owner.GoneAt is null && ClaimRules.IsRefuted(owner, claim))
            {
                Release(owner, claim);
                return null;
            }
            return claim.Pod.Identify(_labels);
        }
        Wait(owner);
        claim = _matcher.Find(owner);
        if (claim is null)
        {
            _questions.AskIfDue(owner);
            return null;
        }
        _waiting.RemoveWithSiblings(owner);
        _questions.Forget(owner);
        _released.Remove(owner.Generation);
        Match(owner, claim);
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
        if (_known.Remove(owner.Generation, out var claim))
        {
            claim.Forget(owner);
        }
        else
        {
            Wait(owner);
            _questions.CountUndecided(owner);
            if (_waiting.Contains(owner))
            {
                // It keeps its place in the order, else the next interface would take its pod's claim.
                _departed.Enqueue(owner);
            }
        }
        _questions.Forget(owner);
    }

    public IEnumerable<KnownPod> GetKnownPods()
    {
        var shown = Volatile.Read(ref _labels);
        return _store.Pods.Select(pod => (Pod: pod, pod.State)).Select(known =>
            new KnownPod(known.Pod.Identify(shown), known.State.Phase, known.State.HostNetwork, known.State.Addresses));
    }

    /// <summary>Hands the state of an interface over to the object that replaces the previous one.</summary>
    private static void Continue(PodInterface owner, PodInterface previous, Dictionary<long, PodInterface> resumed)
    {
        (owner.InnerAddresses, owner.Addresses) = (previous.InnerAddresses, previous.Addresses);
        (owner.AddressedAt, owner.AddressedStamp) = (previous.AddressedAt, previous.AddressedStamp);
        (owner.WithoutAddressesAt, owner.GoneAt, owner.BornAfter) = (previous.WithoutAddressesAt, previous.GoneAt, previous.BornAfter);
        var first = resumed.GetValueOrDefault(previous.First.Generation, previous.First);
        if (owner.Sibling is null && first.First != owner)
        {
            owner.Sibling = first;
        }
    }

    /// <summary>
    /// Whether the pod that a previous process found for the interface has other addresses. A later pod of the same name, as of a StatefulSet, is
    /// another one.
    /// </summary>
    private bool IsElsewhere(PodInterface owner, PodIdentity pod) => _store.Pods.Any(known =>
        known.State is { HostNetwork: false } state
        && (state.Description.Namespace, state.Description.Name) == (pod.Namespace, pod.Name)
        && ClaimRules.HasOtherAddresses(state, owner)
        && state.Addresses.SelectMany(address => _store.GetClaims(address)).Any(claim => claim.Pod == known && claim.StartTime <= owner.SeenAt));

    private void Match(PodInterface owner, AddressClaim claim)
    {
        _isShown = false;
        _known[owner.Generation] = claim;
        claim.Take(owner);
    }

    /// <summary>Gives all interfaces with the same peer namespace another claim.</summary>
    private void Move(PodInterface owner, AddressClaim claim, AddressClaim better)
    {
        foreach (var sibling in claim.Interfaces.Where(each => each.First == owner.First).ToArray())
        {
            claim.Release(sibling);
            Match(sibling, better);
        }
    }

    /// <summary>Takes the pod from an interface until another claim is found. Its further traffic waits for that.</summary>
    private void Release(PodInterface owner, AddressClaim claim)
    {
        _isShown = false;
        _known.Remove(owner.Generation);
        claim.Release(owner);
        _released.Add(owner.Generation);
        Wait(owner);
        _questions.CountUndecided(owner);
    }

    /// <summary>Adds an interface to those without a pod. If it wants a claim that a present interface has, known pods are decided again.</summary>
    private void Wait(PodInterface owner)
    {
        if (_waiting.Add(owner))
        {
            _isContested |= owner.GoneAt is null
                && owner.Addresses.Any(address => _store.GetClaims(address).Any(claim => !ClaimRules.IsFree(claim)));
        }
    }

    private void MatchDeparted()
    {
        for (var left = _departed.Count; left > 0; left--)
        {
            var departed = _departed.Dequeue();
            if (!_waiting.Contains(departed))
            {
                // Its pod was found by another of its interfaces.
                continue;
            }
            if (_matcher.Find(departed) is { } claim)
            {
                if (!claim.IsOf(departed))
                {
                    claim.Take(departed);
                }
                _waiting.RemoveWithSiblings(departed);
            }
            else if (IsTooOld(departed.GoneAt))
            {
                GiveUp(departed);
            }
            else if (_departed.Count >= MaxDeparted)
            {
                _matcher.GivenUpAt = departed.GoneAt ?? _time.GetUtcNow();
                GiveUp(departed);
            }
            else
            {
                _departed.Enqueue(departed);
            }
        }
    }

    private void GiveUp(PodInterface departed)
    {
        _matcher.Dispute(departed);
        _waiting.Remove(departed);
    }

    /// <summary>Whether the API server would have reported the pod of an interface that is gone by now.</summary>
    private bool IsTooOld(DateTimeOffset? goneAt) =>
        _store.CurrentSince is { } since && _time.GetUtcNow() - since > _store.Keep && _store.HeardAt - goneAt > _store.Keep;

    private void ShowPods()
    {
        _isShown = true;
        if (_metrics is null)
        {
            return;
        }
        var found = _known.Values.Where(claim => !ClaimRules.IsFree(claim)).Select(claim => claim.Pod).ToHashSet();
        var (with, without, host) = (0, 0, 0);
        foreach (var pod in _store.Pods.Where(pod => pod.State is { Phase: not ("Succeeded" or "Failed") } state && (state.HostNetwork || state.Addresses.Count > 0)))
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
        _metrics.SetPods(with, without, host);
    }
}
