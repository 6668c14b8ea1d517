using System.Net;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// A pod's claim to an address that it has or had. It identifies the pod's interface. A pod that gets another address, or the same again, has
/// a new claim.
/// </summary>
/// <param name="startTime">When the kubelet accepted the pod, before it had an interface, by the node's clock in whole seconds; null if it is not known.</param>
/// <param name="listedAt">The pod had the address then or later; null if the claim came with an event, or was over.</param>
/// <param name="other">A claim of the pod to another address that it has as well; null if it has no other.</param>
internal sealed class AddressClaim(StoredPod pod, IPAddress address, DateTimeOffset? startTime, DateTimeOffset? listedAt, AddressClaim? other)
{
    private readonly List<PodInterface> _interfaces = other?._interfaces ?? [];
    private StoredPod _pod = pod;
    private long _endTicks = NotEnded;
    private long _signTicks;
    private long _sandboxTicks;
    private volatile bool _isListed;

    private const long NotEnded = -1;

    internal StoredPod Pod => Volatile.Read(ref _pod);

    internal IPAddress Address => address;

    internal DateTimeOffset? StartTime => startTime;

    internal DateTimeOffset? ListedAt => listedAt;

    /// <summary>Whether it came with a list: then other pods that had the address before may have been missed.</summary>
    internal bool IsListed
    {
        get => _isListed;
        set => _isListed = value;
    }

    /// <summary>The latest time at which the pod can have had the address, by the node's clock; null while the claim is not over.</summary>
    internal DateTimeOffset? EndTime
    {
        get => Volatile.Read(ref _endTicks) is not NotEnded and var ticks ? new(ticks, TimeSpan.Zero) : null;
        set => Volatile.Write(ref _endTicks, value?.UtcTicks ?? NotEnded);
    }

    /// <summary>
    /// The latest time of the newest sign that the pod has a sandbox with this address, by the node's clock; null without a sign. An interface
    /// that came later is not this sandbox's.
    /// </summary>
    internal DateTimeOffset? SignAt => FromTicks(ref _signTicks);

    /// <summary>The pod had a sandbox with this address then or later, by the node's clock; null if that is not known.</summary>
    internal DateTimeOffset? SandboxAt => FromTicks(ref _sandboxTicks);

    /// <summary>When the store learned that the claim is over; 0 while it is not. Used by the store only.</summary>
    internal long OverAt { get; set; }

    /// <summary>
    /// The interfaces that were found for the pod, by any of its addresses: all have the same peer namespace, and those that are gone stay until another is
    /// there. Empty before. Used by the source only.
    /// </summary>
    internal IReadOnlyList<PodInterface> Interfaces => _interfaces;

    /// <summary>Whether several interfaces may have had it, and one of them is forgotten: no interface gets it. Used by the source only.</summary>
    internal bool IsDisputed { get; set; }

    /// <summary>Whether an interface with the same peer namespace has the claim.</summary>
    internal bool IsOf(PodInterface owner) => _interfaces.Exists(each => each.First == owner.First);

    /// <summary>Gives the claim to an interface. Interfaces of another namespace, a previous sandbox's, have it no longer.</summary>
    internal void Take(PodInterface owner)
    {
        _interfaces.RemoveAll(each => each == owner || each.First != owner.First);
        _interfaces.Add(owner);
    }

    /// <summary>Takes the claim from an interface.</summary>
    internal void Release(PodInterface owner) => _interfaces.Remove(owner);

    /// <summary>Forgets an interface that is gone, unless it is the last one: that the claim had one is still known then.</summary>
    internal void Forget(PodInterface owner)
    {
        if (_interfaces.Count > 1)
        {
            _interfaces.Remove(owner);
        }
    }

    /// <summary>Puts another object in the place of an interface's.</summary>
    internal void Replace(PodInterface previous, PodInterface owner) => _interfaces[_interfaces.IndexOf(previous)] = owner;

    /// <summary>Notes the times of signs. A newer time stays.</summary>
    internal void Confirm(DateTimeOffset? signAt, DateTimeOffset? sandboxAt)
    {
        Volatile.Write(ref _signTicks, Math.Max(_signTicks, signAt?.UtcTicks ?? 0));
        Volatile.Write(ref _sandboxTicks, Math.Max(_sandboxTicks, sandboxAt?.UtcTicks ?? 0));
    }

    /// <summary>Continues the claim of a static pod whose mirror object was recreated.</summary>
    internal void Reopen(StoredPod pod, DateTimeOffset? endTime)
    {
        Volatile.Write(ref _pod, pod);
        EndTime = endTime;
        OverAt = 0;
        IsDisputed = false;
    }

    private static DateTimeOffset? FromTicks(ref long ticks) => Volatile.Read(ref ticks) is not 0 and var known ? new(known, TimeSpan.Zero) : null;
}
