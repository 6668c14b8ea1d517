using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using Exporter.Health;

namespace Exporter.Kubernetes;

/// <summary>
/// The pods of this node, and their claims to addresses, past ones included, in the order in which the API server reported them. Written by
/// the watch, read by any thread.
/// </summary>
internal sealed class PodStore(TimeProvider time, TimeSpan keep)
{
    private static readonly TimeSpan LeastSilence = TimeSpan.FromSeconds(30);

    /// <summary>An interface's event may be read later than the event of its pod.</summary>
    private static readonly TimeSpan EventDelay = TimeSpan.FromSeconds(2);

    /// <summary>Times in a pod's status are whole seconds, rounded down.</summary>
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, StoredPod> _pods = new();
    private readonly ConcurrentDictionary<IPAddress, ImmutableArray<AddressClaim>> _claims = new();
    private readonly Queue<(long OverAt, AddressClaim Claim)> _over = new();

    /// <summary>The versions in a list beside the watch that the watch has still to deliver, by pod; null for a pod's deletion.</summary>
    private readonly Dictionary<string, string?> _awaited = [];

    private DateTimeOffset _awaitedAt;
    private long _changes;
    private long _currentSince;
    private long _heardAt;
    private long _completeAt;
    private long _gapAt;
    private long _listedAt;
    private long _keepTicks = keep.Ticks;

    /// <summary>How long claims that are over are kept: their interfaces may not have been matched yet. Options change it.</summary>
    internal TimeSpan Keep
    {
        get => new(Volatile.Read(ref _keepTicks));
        set => Volatile.Write(ref _keepTicks, value.Ticks);
    }

    private TimeSpan Silence => Keep > LeastSilence ? Keep : LeastSilence;

    /// <summary>Rises with every change.</summary>
    internal long Changes => Volatile.Read(ref _changes);

    internal int Count => _pods.Count;

    internal IEnumerable<StoredPod> Pods => _pods.Select(pair => pair.Value);

    /// <summary>The pod with this uid; null if it is not known, or is a static pod.</summary>
    internal PodState? Find(string uid) => _pods.GetValueOrDefault(uid)?.State;

    /// <summary>Since when changes have come as they happen; null while they do not. In its first moments, changes that were held back come.</summary>
    internal DateTimeOffset? CurrentSince => Volatile.Read(ref _currentSince) is not 0 and var ticks ? new(ticks, TimeSpan.Zero) : null;

    /// <summary>When the watch last brought data.</summary>
    internal DateTimeOffset HeardAt => new(Volatile.Read(ref _heardAt), TimeSpan.Zero);

    /// <summary>When the first list came; null before it.</summary>
    internal DateTimeOffset? ListedAt => Volatile.Read(ref _listedAt) is not 0 and var ticks ? new(ticks, TimeSpan.Zero) : null;

    /// <summary>All that the API server knew at that time is known here: a list that is not from a cache was asked for then.</summary>
    internal DateTimeOffset CompleteAt => new(Volatile.Read(ref _completeAt), TimeSpan.Zero);

    /// <summary>When a list last replaced events: pods that came and went before it were missed.</summary>
    internal DateTimeOffset GapAt => new(Volatile.Read(ref _gapAt), TimeSpan.Zero);

    /// <summary>Whether the watch has not yet delivered the states that the list beside it showed.</summary>
    internal bool IsBehind => _awaited.Count > 0;

    /// <summary>Set when an interface has no pod that only another list can decide.</summary>
    internal ChangeSignal Questions { get; } = new();

    /// <summary>The claims to one address, oldest first.</summary>
    internal ImmutableArray<AddressClaim> GetClaims(IPAddress address) => _claims.GetValueOrDefault(address, []);

    /// <param name="isCurrent">Whether changes come as they happen: the watch has just brought data.</param>
    internal void SetCurrent(bool isCurrent)
    {
        var now = time.GetUtcNow();
        // A silence counts as an outage: a dead connection is silent.
        if (isCurrent != CurrentSince is not null || (isCurrent && now - HeardAt > Silence))
        {
            Volatile.Write(ref _currentSince, isCurrent ? now.UtcTicks : 0);
        }
        if (isCurrent)
        {
            Volatile.Write(ref _heardAt, now.UtcTicks);
        }
    }

    /// <summary>Takes over a list, at the start, or after events were missed.</summary>
    /// <param name="askedAt">The list shows the state of that time or later, unless it is cached.</param>
    /// <param name="isCached">
    /// Whether the list is from the API server's cache. It may be old then, so it only adds pods that are not known: it removes and replaces
    /// none.
    /// </param>
    internal void Reset(IReadOnlyCollection<PodDocument> pods, DateTimeOffset askedAt, bool isCached = false)
    {
        if (!isCached)
        {
            var listed = pods.Select(pod => pod.Key).ToHashSet();
            foreach (var key in _pods.Keys.Where(key => !listed.Contains(key)).ToList())
            {
                Remove(key);
            }
        }
        // A list is in the order of names. Sorted by start, pods are in the order in which they can have had an address.
        foreach (var pod in pods.OrderBy(pod => pod.Status.StartTime ?? DateTimeOffset.MinValue).Where(pod => !isCached || !_pods.ContainsKey(pod.Key)).ToList())
        {
            Set(pod, isCached ? ClaimOrigin.Cache : ClaimOrigin.List, isCached ? null : askedAt);
        }
        Interlocked.CompareExchange(ref _listedAt, time.GetUtcNow().UtcTicks, 0);
        _awaited.Clear();
        if (!isCached)
        {
            Volatile.Write(ref _gapAt, askedAt.UtcTicks);
            Volatile.Write(ref _completeAt, askedAt.UtcTicks);
        }
    }

    /// <summary>
    /// Notes a list beside the watch, which continues from its own version. Pods and claims do not change, so that they stay in the order of
    /// their events, and pods that came and went meanwhile are not missed. The store is complete once the watch has delivered the states
    /// that the list shows.
    /// </summary>
    /// <param name="askedAt">The list shows the state of that time or later.</param>
    internal void Await(IReadOnlyCollection<PodDocument> pods, DateTimeOffset askedAt)
    {
        _awaited.Clear();
        _awaitedAt = askedAt;
        foreach (var key in _pods.Keys)
        {
            _awaited[key] = null;
        }
        foreach (var pod in pods)
        {
            if (_pods.GetValueOrDefault(pod.Key)?.Version == pod.Metadata.ResourceVersion)
            {
                _awaited.Remove(pod.Key);
            }
            else
            {
                _awaited[pod.Key] = pod.Metadata.ResourceVersion;
            }
        }
        CompleteIfDelivered();
        Interlocked.Increment(ref _changes);
    }

    /// <summary>Takes a pod that is new or has changed.</summary>
    internal void Set(PodDocument document)
    {
        Set(document, ClaimOrigin.Event, listedAt: null);
        Deliver(document.Key, document.Metadata.ResourceVersion);
    }

    /// <summary>Takes the last state of a pod that was deleted.</summary>
    internal void Remove(PodDocument document)
    {
        Set(document);
        Remove(document.Key);
        Deliver(document.Key, version: null);
    }

    /// <summary>Forgets claims that have been over for long enough.</summary>
    internal void RemoveExpired()
    {
        while (_over.TryPeek(out var oldest) && time.GetElapsedTime(oldest.OverAt) > Keep)
        {
            var (overAt, claim) = _over.Dequeue();
            if (claim.OverAt != overAt)
            {
                // A static pod has reopened the claim.
                continue;
            }
            var rest = GetClaims(claim.Address).Remove(claim);
            if (rest.IsEmpty)
            {
                _claims.TryRemove(claim.Address, out _);
            }
            else
            {
                _claims[claim.Address] = rest;
            }
        }
    }

    /// <param name="version">Null: the pod was deleted.</param>
    private void Deliver(string key, string? version)
    {
        if (_awaited.TryGetValue(key, out var awaited) && awaited == version)
        {
            _awaited.Remove(key);
            CompleteIfDelivered();
        }
    }

    private void CompleteIfDelivered()
    {
        if (!IsBehind)
        {
            Volatile.Write(ref _completeAt, _awaitedAt.UtcTicks);
        }
    }

    private void Set(PodDocument document, ClaimOrigin origin, DateTimeOffset? listedAt)
    {
        if (document.Key.Length == 0)
        {
            return;
        }
        var now = time.GetUtcNow();
        IReadOnlyList<IPAddress> addresses = document.Spec.HostNetwork ? [] : document.Status.FindAddresses();
        var state = new PodState(document.Describe(), document.Status.Phase, document.Spec.HostNetwork, addresses, document.FindDaemonSet());
        if (!_pods.TryGetValue(document.Key, out var pod))
        {
            _pods[document.Key] = pod = new(document.Key, state);
        }
        pod.Version = document.Metadata.ResourceVersion;
        pod.Set(state, document.IsEnding, origin == ClaimOrigin.Event ? now : null);
        var lost = pod.Claims.FindAll(claim => !addresses.Contains(claim.Address));
        foreach (var claim in lost)
        {
            pod.Claims.Remove(claim);
            End(claim, now);
        }
        // A pod that was over before it was listed, and shows no time of its end, has no interface any more.
        DateTimeOffset? endTime = document.IsOver ? document.Status.FindEndTime() ?? (origin == ClaimOrigin.Event ? now : DateTimeOffset.MinValue) : null;
        var (signTime, sandboxAt) = (document.Status.FindSignTime(), document.Status.FindSandboxTime());
        var signAt = signTime + Second + EventDelay;
        foreach (var claim in pod.Claims)
        {
            claim.EndTime ??= endTime;
            claim.Confirm(signAt, sandboxAt);
            if (origin == ClaimOrigin.Event && claim.IsListed && signTime > (pod.SignTime ?? DateTimeOffset.MinValue))
            {
                // The list showed a previous sandbox: the claim counts as new now.
                claim.IsListed = false;
                _claims[claim.Address] = GetClaims(claim.Address).Remove(claim).Add(claim);
            }
        }
        // A new address is a sign by itself if the pod's times are missing or older. It is not if the pod is ending and was listed: its
        // sandbox may be gone.
        var isSign = origin == ClaimOrigin.Event || (origin == ClaimOrigin.List && ListedAt is not null && !document.IsEnding);
        var newestSignAt = isSign && !(signTime > (pod.SignTime ?? DateTimeOffset.MinValue)) ? now + EventDelay : signAt;
        pod.SignTime = signTime ?? pod.SignTime;
        // A pod that has lost an address has another sandbox: the claim that it keeps may still be the previous one's.
        var other = lost.Count == 0 ? pod.Claims.FirstOrDefault() : null;
        foreach (var address in addresses.Where(address => !pod.Claims.Exists(claim => claim.Address.Equals(address))))
        {
            var claim = Claim(document, pod, address, other, origin, document.IsEnding || sandboxAt is not null ? null : listedAt, endTime);
            claim.Confirm(newestSignAt, sandboxAt);
            pod.Claims.Add(claim);
            other ??= claim;
        }
        Interlocked.Increment(ref _changes);
    }

    private AddressClaim Claim(PodDocument document, StoredPod pod, IPAddress address, AddressClaim? other, ClaimOrigin origin, DateTimeOffset? listedAt, DateTimeOffset? endTime)
    {
        var claims = GetClaims(address);
        if (document.IsStatic && claims.LastOrDefault() is { } last && last.Pod.Key == pod.Key)
        {
            // Only the mirror object of a static pod has been recreated; the pod itself runs on.
            last.Reopen(pod, endTime);
            return last;
        }
        var claim = new AddressClaim(pod, address, document.Status.StartTime, listedAt, other)
        {
            EndTime = endTime,
            IsListed = origin != ClaimOrigin.Event,
        };
        _claims[address] = claims.Add(claim);
        return claim;
    }

    private void End(AddressClaim claim, DateTimeOffset at)
    {
        claim.EndTime ??= at;
        claim.OverAt = time.GetTimestamp();
        _over.Enqueue((claim.OverAt, claim));
    }

    private void Remove(string key)
    {
        if (_pods.TryRemove(key, out var pod))
        {
            var now = time.GetUtcNow();
            pod.Claims.ForEach(claim => End(claim, now));
            Interlocked.Increment(ref _changes);
        }
    }

    /// <summary>How a claim became known.</summary>
    private enum ClaimOrigin
    {
        Event,

        /// <summary>A list of the present state.</summary>
        List,

        /// <summary>A list that may be old.</summary>
        Cache,
    }
}
