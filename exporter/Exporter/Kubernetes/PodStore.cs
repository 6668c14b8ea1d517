using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using Exporter.Health;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// The pods of this node, and the claims to addresses that they have or had, in the order in which the API server told of them. Written
/// by the watch, read by anybody.
/// </summary>
internal sealed class PodStore(TimeProvider time, TimeSpan keep)
{
    private static readonly TimeSpan LeastSilence = TimeSpan.FromSeconds(30);

    /// <summary>An interface's event may be read later than the event of its pod.</summary>
    private static readonly TimeSpan EventDelay = TimeSpan.FromSeconds(2);

    /// <summary>Times in a pod's status are whole seconds, rounded down.</summary>
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Pod> _pods = new();
    private readonly ConcurrentDictionary<IPAddress, ImmutableArray<AddressClaim>> _claims = new();
    private readonly Queue<(long OverAt, AddressClaim Claim)> _over = new();

    /// <summary>Of a list that was asked for beside the watch: the versions of pods that the watch has still to deliver, null for a pod's end.</summary>
    private readonly Dictionary<string, string?> _awaited = [];

    private DateTimeOffset _awaitedAt;
    private long _changes;
    private long _currentSince;
    private long _heardAt;
    private long _completeAt;
    private long _gapAt;
    private long _listedAt;
    private long _keepTicks = keep.Ticks;

    /// <summary>How long claims that are over stay: their interfaces may not have been looked at yet. Options change it.</summary>
    internal TimeSpan Keep
    {
        get => new(Volatile.Read(ref _keepTicks));
        set => Volatile.Write(ref _keepTicks, value.Ticks);
    }

    private TimeSpan Silence => Keep > LeastSilence ? Keep : LeastSilence;

    /// <summary>Rises with every change.</summary>
    internal long Changes => Volatile.Read(ref _changes);

    internal int Count => _pods.Count;

    internal IEnumerable<Pod> Pods => _pods.Select(pair => pair.Value);

    /// <summary>The pod with this uid; null where it is not known, or is a static one.</summary>
    internal PodState? Find(string uid) => _pods.GetValueOrDefault(uid)?.State;

    /// <summary>Since when changes have come as they happen; null while they do not. What was held back before comes in its first moments.</summary>
    internal DateTimeOffset? CurrentSince => Volatile.Read(ref _currentSince) is not 0 and var ticks ? new(ticks, TimeSpan.Zero) : null;

    /// <summary>When the API server was last heard of.</summary>
    internal DateTimeOffset HeardAt => new(Volatile.Read(ref _heardAt), TimeSpan.Zero);

    /// <summary>When the first list came; null before it.</summary>
    internal DateTimeOffset? ListedAt => Volatile.Read(ref _listedAt) is not 0 and var ticks ? new(ticks, TimeSpan.Zero) : null;

    /// <summary>What the API server knew at that time is known here: a list that is not from a cache was asked for then.</summary>
    internal DateTimeOffset CompleteAt => new(Volatile.Read(ref _completeAt), TimeSpan.Zero);

    /// <summary>When a list last took the place of events: pods that came and went before it were missed.</summary>
    internal DateTimeOffset GapAt => new(Volatile.Read(ref _gapAt), TimeSpan.Zero);

    /// <summary>Whether the watch has not yet delivered what the list showed that was asked for beside it.</summary>
    internal bool IsBehind => _awaited.Count > 0;

    /// <summary>Set when an interface has no pod that only another list can decide.</summary>
    internal ChangeSignal Questions { get; } = new();

    /// <summary>To one address, oldest first.</summary>
    internal ImmutableArray<AddressClaim> GetClaims(IPAddress address) => _claims.GetValueOrDefault(address, []);

    /// <param name="isCurrent">Whether changes come as they happen: the API server has just been heard of.</param>
    internal void SetCurrent(bool isCurrent)
    {
        var now = time.GetUtcNow();
        // After a silence it is as after an outage: a connection that is cut says nothing.
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
    /// <param name="askedAt">What the list says was so then or later; of one from a cache that is not known.</param>
    /// <param name="isCached">
    /// Whether the API server gave it from its cache. It may be old then, so it only adds pods that are not known: it takes nothing away and
    /// replaces nothing.
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
        // A list is in the order of names; this is the one in which they can have had an address.
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
    /// Takes note of a list that is not from a cache and was asked for beside the watch, which goes on from where it was. Nothing changes, so
    /// that the pods stay in the order of their events, and none is missed that came and went meanwhile; what is known is
    /// complete as soon as the watch has delivered the states that the list shows.
    /// </summary>
    /// <param name="askedAt">What the list says was so then or later.</param>
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

    /// <summary>A pod is new or has changed.</summary>
    internal void Set(PodDocument document)
    {
        Set(document, ClaimOrigin.Event, listedAt: null);
        Deliver(document.Key, document.Metadata.ResourceVersion);
    }

    /// <summary>A pod is gone; this was its last state.</summary>
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
                // A static pod has come back to it.
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

    /// <param name="version">Null: the pod's end.</param>
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
        foreach (var lost in pod.Claims.FindAll(claim => !addresses.Contains(claim.Address)))
        {
            pod.Claims.Remove(lost);
            End(lost, now);
        }
        // Of a pod that was over before it was listed, and does not say when, no interface can be left.
        DateTimeOffset? endTime = document.IsOver ? document.Status.FindEndTime() ?? (origin == ClaimOrigin.Event ? now : DateTimeOffset.MinValue) : null;
        var (signTime, sandboxAt) = (document.Status.FindSignTime(), document.Status.FindSandboxTime());
        var signAt = signTime + Second + EventDelay;
        foreach (var claim in pod.Claims)
        {
            claim.EndTime ??= endTime;
            claim.Confirm(signAt, sandboxAt);
            if (origin == ClaimOrigin.Event && claim.IsListed && signTime > (pod.SignTime ?? DateTimeOffset.MinValue))
            {
                // Another sandbox has the address than the one that the list showed: the claim is as good as one that is new now.
                claim.IsListed = false;
                _claims[claim.Address] = GetClaims(claim.Address).Remove(claim).Add(claim);
            }
        }
        // That the address is new is a sign by itself, where the pod's times are missing or are from before. It is not if the pod is ending
        // and was listed: its sandbox may be gone.
        var isSign = origin == ClaimOrigin.Event || (origin == ClaimOrigin.List && ListedAt is not null && !document.IsEnding);
        var toldAt = isSign && !(signTime > (pod.SignTime ?? DateTimeOffset.MinValue)) ? now + EventDelay : signAt;
        pod.SignTime = signTime ?? pod.SignTime;
        foreach (var address in addresses.Where(address => !pod.Claims.Exists(claim => claim.Address.Equals(address))))
        {
            var claim = Claim(document, pod, address, origin, document.IsEnding || sandboxAt is not null ? null : listedAt, endTime);
            claim.Confirm(toldAt, sandboxAt);
            pod.Claims.Add(claim);
        }
        Interlocked.Increment(ref _changes);
    }

    private AddressClaim Claim(PodDocument document, Pod pod, IPAddress address, ClaimOrigin origin, DateTimeOffset? listedAt, DateTimeOffset? endTime)
    {
        var claims = GetClaims(address);
        if (document.IsStatic && claims.LastOrDefault() is { } last && last.Pod.Key == pod.Key)
        {
            // Only what the API server shows of a static pod has been made anew.
            last.Reopen(pod, endTime);
            return last;
        }
        var claim = new AddressClaim(pod, address, document.Status.StartTime, listedAt, pod.Claims.FirstOrDefault())
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

    /// <summary>Where a claim is known from.</summary>
    private enum ClaimOrigin
    {
        Event,

        /// <summary>A list of what is.</summary>
        List,

        /// <summary>A list that may be old.</summary>
        Cache,
    }

    /// <summary>A pod as the API server last told of it.</summary>
    internal sealed class Pod(string key, PodState state)
    {
        private PodState _state = state;
        private ShownPod? _shown;
        private long _changedAt;
        private volatile bool _isEnding;

        internal string Key => key;

        internal PodState State => Volatile.Read(ref _state);

        /// <summary>Whether it is over, or soon will be.</summary>
        internal bool IsEnding => _isEnding;

        /// <summary>When the last event of it came.</summary>
        internal DateTimeOffset ChangedAt => new(Volatile.Read(ref _changedAt), TimeSpan.Zero);

        /// <summary>The version of its object that was taken over last. For the store alone.</summary>
        internal string Version { get; set; } = "";

        /// <summary>The newest time of a sandbox that its status showed; null if none did. For the store alone.</summary>
        internal DateTimeOffset? SignTime { get; set; }

        /// <summary>Those to the addresses that it has. For the store alone.</summary>
        internal List<AddressClaim> Claims { get; } = [];

        /// <summary>The pod with these labels. May be called by anybody; made once for each state and set of labels.</summary>
        internal PodIdentity Identify(PodLabels labels)
        {
            var (state, shown) = (State, Volatile.Read(ref _shown));
            if (shown is null || !ReferenceEquals(shown.State, state) || shown.Labels != labels)
            {
                shown = new(state, labels, labels.Identify(state.Description));
                Volatile.Write(ref _shown, shown);
            }
            return shown.Identity;
        }

        internal void Set(PodState state, bool isEnding, DateTimeOffset? at)
        {
            Volatile.Write(ref _state, state);
            _isEnding = isEnding;
            if (at is { } changedAt)
            {
                Volatile.Write(ref _changedAt, changedAt.UtcTicks);
            }
        }

        private sealed record ShownPod(PodState State, PodLabels Labels, PodIdentity Identity);
    }
}

/// <summary>
/// A pod's state as the API server last reported it. It has no labels of series: those are made of the description when they are asked for, so
/// that other options show other labels of what is already known.
/// </summary>
/// <param name="DaemonSet">Controls the pod; null: none does.</param>
internal sealed record PodState(PodDescription Description, string Phase, bool HostNetwork, IReadOnlyList<IPAddress> Addresses, DaemonSetReference? DaemonSet);

/// <summary>
/// That a pod has, or had, an address: what makes its interface known. A pod that gets another address claims anew, and so does one that
/// gets the same again.
/// </summary>
/// <param name="startTime">When the node took the pod up, before it had an interface, by the node's clock in whole seconds; null where it is not known.</param>
/// <param name="listedAt">It had it then or later; null where an event told of it, or where it was over.</param>
/// <param name="other">To another address that the pod has as well; null where there is none.</param>
internal sealed class AddressClaim(PodStore.Pod pod, IPAddress address, DateTimeOffset? startTime, DateTimeOffset? listedAt, AddressClaim? other)
{
    private readonly AddressClaim? _first = other?._first ?? other;
    private PodStore.Pod _pod = pod;
    private long _endTicks = NotEnded;
    private long _signTicks;
    private long _sandboxTicks;
    private volatile bool _isListed;

    private const long NotEnded = -1;

    internal PodStore.Pod Pod => Volatile.Read(ref _pod);

    internal IPAddress Address => address;

    internal DateTimeOffset? StartTime => startTime;

    internal DateTimeOffset? ListedAt => listedAt;

    /// <summary>Whether it is known from a list: then other pods that had the address before may have been missed.</summary>
    internal bool IsListed
    {
        get => _isListed;
        set => _isListed = value;
    }

    /// <summary>When the pod had ended, or no longer had the address, at the latest, by the node's clock; null while it is not over.</summary>
    internal DateTimeOffset? EndTime
    {
        get => Volatile.Read(ref _endTicks) is not NotEnded and var ticks ? new(ticks, TimeSpan.Zero) : null;
        set => Volatile.Write(ref _endTicks, value?.UtcTicks ?? NotEnded);
    }

    /// <summary>
    /// The newest sign that the pod has a sandbox with this address is not newer than that, by the node's clock; null if there is none. An
    /// interface that came later is not this sandbox's.
    /// </summary>
    internal DateTimeOffset? SignAt => FromTicks(ref _signTicks);

    /// <summary>The pod had a sandbox with this address then or later, by the node's clock; null if that is not known.</summary>
    internal DateTimeOffset? SandboxAt => FromTicks(ref _sandboxTicks);

    /// <summary>When the store was told that it is over; 0 while it is not. For the store alone.</summary>
    internal long OverAt { get; set; }

    /// <summary>The interface that was found for it, by whichever of the pod's addresses; null before. For the source alone.</summary>
    internal PodInterface? Taker
    {
        get => _first is null ? field : _first.Taker;
        set
        {
            if (_first is null)
            {
                field = value;
            }
            else
            {
                _first.Taker = value;
            }
        }
    }

    /// <summary>Whether several interfaces may have had it, and one of them is forgotten: no interface gets it. For the source alone.</summary>
    internal bool IsDisputed { get; set; }

    /// <summary>Notes signs; what is known to be newer stays.</summary>
    internal void Confirm(DateTimeOffset? signAt, DateTimeOffset? sandboxAt)
    {
        Volatile.Write(ref _signTicks, Math.Max(_signTicks, signAt?.UtcTicks ?? 0));
        Volatile.Write(ref _sandboxTicks, Math.Max(_sandboxTicks, sandboxAt?.UtcTicks ?? 0));
    }

    internal void Reopen(PodStore.Pod pod, DateTimeOffset? endTime)
    {
        Volatile.Write(ref _pod, pod);
        EndTime = endTime;
        OverAt = 0;
        IsDisputed = false;
    }

    private static DateTimeOffset? FromTicks(ref long ticks) => Volatile.Read(ref ticks) is not 0 and var known ? new(known, TimeSpan.Zero) : null;
}
