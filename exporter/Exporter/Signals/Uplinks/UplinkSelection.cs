using Exporter.Bpf.Netlink;

namespace Exporter.Signals.Uplinks;

/// <summary>The interfaces that the options mean, in the order of their indexes.</summary>
/// <param name="Counted">As far as there are slots.</param>
/// <param name="WithoutEthernet">Not counted.</param>
internal sealed record UplinkChoice(IReadOnlyList<NodeLink> Counted, IReadOnlyList<NodeLink> WithoutEthernet)
{
    internal bool IsEmpty => Counted.Count + WithoutEthernet.Count == 0;
}

/// <summary>Finds the interfaces that the options mean, among those that there are.</summary>
internal static class UplinkSelection
{
    /// <summary>Chains of masters are short; a circle cannot be made, but a list is not read at one moment.</summary>
    private const int MaxDepth = 4;

    /// <summary>Asks for the interfaces and, where the options want it, for the default routes, and chooses.</summary>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    internal static UplinkChoice Find(UplinkOptions options, LinkClient client, RouteClient routes, DefaultRoutes defaults)
    {
        var links = client.GetNodeLinks();
        return Choose(options, links, options.IsAuto ? defaults.Take(routes.GetDefaultInterfaces(), links) : new HashSet<int>());
    }

    /// <summary>Chooses interfaces in the order of their indexes. Classes are read behind an Ethernet header, so interfaces without one are named only.</summary>
    /// <param name="links">All interfaces of the namespace.</param>
    /// <param name="defaults">The indexes of the interfaces of default routes.</param>
    internal static UplinkChoice Choose(UplinkOptions options, IReadOnlyList<NodeLink> links, IReadOnlySet<int> defaults)
    {
        var meant = links.Where(link => options.IsNamed(link) || (options.IsAuto && defaults.Contains(link.Ifindex)))
            .SelectMany(link => Resolve(link, links, MaxDepth))
            .DistinctBy(link => link.Ifindex)
            .OrderBy(link => link.Ifindex)
            .ToLookup(link => link.IsEthernet);
        return new([.. meant[true]], [.. meant[false]]);
    }

    /// <summary>
    /// The slaves of a bond or team, which have the frames before it; else itself. A bridge is counted itself: which of its ports leads out of the node, only
    /// its owner knows.
    /// </summary>
    private static IEnumerable<NodeLink> Resolve(NodeLink link, IReadOnlyList<NodeLink> links, int depth)
    {
        var slaves = depth > 0 && link.Kind is "bond" or "team" ? links.Where(slave => slave.Master == link.Ifindex).ToList() : [];
        return slaves.Count == 0 ? [link] : slaves.SelectMany(slave => Resolve(slave, links, depth - 1));
    }
}
