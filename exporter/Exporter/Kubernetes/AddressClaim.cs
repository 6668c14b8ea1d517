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
    private readonly AddressClaim? _first = other?._first ?? other;
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

    /// <summary>The interface that was found for the pod, by any of its addresses; null before. Used by the source only.</summary>
    internal PodInterface? MatchedInterface
    {
        get => _first is null ? field : _first.MatchedInterface;
        set
        {
            if (_first is null)
            {
                field = value;
            }
            else
            {
                _first.MatchedInterface = value;
            }
        }
    }

    /// <summary>Whether several interfaces may have had it, and one of them is forgotten: no interface gets it. Used by the source only.</summary>
    internal bool IsDisputed { get; set; }

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
