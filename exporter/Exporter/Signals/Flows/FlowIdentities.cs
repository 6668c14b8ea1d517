using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// Announces which pod has which address: when it is first known, and again at an interval. Addresses that are not its alone are not announced. Used by the drain alone.
/// </summary>
internal sealed class FlowIdentities(PodTable pods, FlowEnds ends, TimeSpan interval)
{
    /// <summary>A first announcement is of the time when the pod had the address, but not of longer ago: consumers do not wait for more.</summary>
    private static readonly TimeSpan LongestAgo = TimeSpan.FromMinutes(1);

    /// <summary>By the generation of the namespace's first interface: a pod with several has one announcement.</summary>
    private readonly Dictionary<(long Generation, FlowAddress Address), (PodIdentity Pod, DateTimeOffset At)> _announced = [];

    /// <summary>The times of this interval's announcements: a record of the same address and time is taken for a repeat.</summary>
    private readonly HashSet<(FlowAddress, DateTimeOffset)> _times = [];

    private readonly IdentityRecord _record = new();

    /// <summary>The announcements that are due. Each is valid until the next.</summary>
    internal IEnumerable<IdentityRecord> FindDue(DateTimeOffset now)
    {
        var current = pods.Current;
        _times.Clear();
        foreach (var owner in current.Values.OrderByDescending(owner => owner.Generation))
        {
            if (owner.Pod is not { } pod)
            {
                continue;
            }
            foreach (var own in owner.Addresses)
            {
                var address = FlowAddress.From(own);
                var isKnown = _announced.TryGetValue((owner.First.Generation, address), out var last) && last.Pod == pod;
                if ((isKnown && now - last.At < interval && now >= last.At) || !NodeAddresses.IsOfOneNode(own) || !ends.Has(owner, address))
                {
                    continue;
                }
                _announced[(owner.First.Generation, address)] = (pod, now);
                var from = owner.AddressedOrSeenAt;
                (_record.Address, _record.From, _record.Pod, _record.PodUid) = (address, from, ends.FindPod(owner), pod.Uid);
                _record.Timestamp = isKnown ? now : from > now ? now : now - from > LongestAgo ? now - LongestAgo : from;
                if (_times.Add((address, _record.Timestamp)))
                {
                    yield return _record;
                }
            }
        }
        if (_announced.Count > 4 * Math.Max(64, current.Count))
        {
            var known = current.Values.Select(owner => owner.First.Generation).ToHashSet();
            foreach (var key in _announced.Keys.Where(key => !known.Contains(key.Generation)).ToList())
            {
                _announced.Remove(key);
            }
        }
    }
}
