using Exporter.Bpf.Netlink;

namespace Exporter.Signals.Uplinks;

/// <summary>
/// The interfaces of default routes, over time: one that has lost its route stays for a while. A driver may take the link down while XDP is attached or detached,
/// and the route goes with it: to detach then would take the link down again, for ever.
/// </summary>
/// <param name="grace">How long it stays; zero: not at all.</param>
internal sealed class DefaultRoutes(TimeSpan grace, TimeProvider time)
{
    private readonly Dictionary<int, (string Name, long SeenAt)> _seen = [];

    /// <summary>Takes note of the interfaces that have a default route now.</summary>
    /// <param name="links">All interfaces of the namespace.</param>
    /// <returns>The indexes of these and of the ones that stay.</returns>
    internal IReadOnlySet<int> Take(IReadOnlySet<int> now, IReadOnlyList<NodeLink> links)
    {
        var names = links.ToDictionary(link => link.Ifindex, link => link.Name);
        foreach (var (ifindex, seen) in _seen)
        {
            // An index may come back.
            if (time.GetElapsedTime(seen.SeenAt) >= grace || names.GetValueOrDefault(ifindex) != seen.Name)
            {
                _seen.Remove(ifindex);
            }
        }
        foreach (var ifindex in now.Where(names.ContainsKey))
        {
            _seen[ifindex] = (names[ifindex], time.GetTimestamp());
        }
        return _seen.Keys.ToHashSet();
    }
}
