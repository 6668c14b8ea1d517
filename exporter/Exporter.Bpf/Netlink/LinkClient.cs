using System.Runtime.InteropServices;
using Exporter.Bpf.Native;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>
/// Asks rtnetlink for links, their addresses and statistics, and the ids of network namespaces, all seen from the network namespace of the thread
/// that opened it. Used by one thread at a time.
/// </summary>
public sealed class LinkClient : IDisposable
{
    private readonly NetlinkChannel _channel = new();

    public void Dispose() => _channel.Dispose();

    /// <summary>All interfaces of this namespace.</summary>
    public List<Link> GetLinks() =>
        _channel.Dump(LinkRequest(NLM_F_DUMP, ifindex: 0), "list the interfaces", static (in NetlinkMessage message) => Link.Parse(message));

    /// <summary>One interface, or null where there is none of that index.</summary>
    public Link? GetLink(int ifindex) => Ask(LinkRequest(0, ifindex), ifindex);

    /// <summary>One interface, or null where there is none of that name.</summary>
    public Link? GetLink(string name)
    {
        var writer = _channel.Begin(RTM_GETLINK, 0);
        writer.Body(default(IfInfoMessage));
        writer.Attribute(IFLA_IFNAME, name);
        writer.Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        return Ask(writer.Message, name);
    }

    /// <summary>All interfaces of this namespace, with the facts that concern the node's own ones.</summary>
    public List<NodeLink> GetNodeLinks() =>
        _channel.Dump(LinkRequest(NLM_F_DUMP, ifindex: 0), "list the node's interfaces", static (in NetlinkMessage message) => NodeLink.Parse(message));

    /// <summary>The counters of all interfaces of this namespace.</summary>
    public List<LinkStatistics> GetStatistics() => _channel.Dump(
        StatisticsRequest(NLM_F_DUMP, ifindex: 0),
        "list the interfaces' statistics",
        static (in NetlinkMessage message) => LinkStatistics.Parse(message));

    /// <summary>One interface's counters, or null where there is none of that index.</summary>
    public LinkStatistics? GetStatistics(int ifindex)
    {
        LinkStatistics? statistics = null;
        var errno = _channel.Exchange(StatisticsRequest(0, ifindex), out var reason, (in NetlinkMessage message) => statistics = LinkStatistics.Parse(message));
        return errno is 0 or Errno.ENODEV ? statistics : throw new NetlinkException($"ask for the statistics of interface {ifindex}", errno, reason);
    }

    /// <summary>The packets that one interface received and that got no further, or null where there is none of that index.</summary>
    public LinkDrops? GetDrops(int ifindex)
    {
        LinkDrops? drops = null;
        var errno = _channel.Exchange(StatisticsRequest(0, ifindex), out var reason, (in NetlinkMessage message) => drops = LinkDrops.Parse(message));
        return errno is 0 or Errno.ENODEV ? drops : throw new NetlinkException($"ask for the drops of interface {ifindex}", errno, reason);
    }

    /// <summary>All addresses of this namespace.</summary>
    public List<LinkAddress> GetAddresses()
    {
        var writer = _channel.Begin(RTM_GETADDR, NLM_F_DUMP);
        writer.Body(default(IfAddrMessage));
        return _channel.Dump(writer.Message, "list the node's addresses", static (in NetlinkMessage message) => LinkAddress.Parse(message));
    }

    /// <summary>
    /// The addresses inside another network namespace, without entering it. The kernel asks for CAP_NET_ADMIN in the user
    /// namespace that owns it.
    /// </summary>
    /// <param name="namespaceId">As <see cref="Link.PeerNamespaceId"/>.</param>
    /// <returns>Empty where there is no such namespace any more.</returns>
    public List<LinkAddress> GetAddresses(int namespaceId)
    {
        var writer = _channel.Begin(RTM_GETADDR, NLM_F_DUMP);
        writer.Body(default(IfAddrMessage));
        writer.Attribute(IFA_TARGET_NETNSID, namespaceId);
        try
        {
            return _channel.Dump(writer.Message, $"list the addresses in namespace {namespaceId}", static (in NetlinkMessage message) => LinkAddress.Parse(message));
        }
        catch (NetlinkException e) when (e.ErrorNumber == Errno.EINVAL)
        {
            return [];
        }
    }

    /// <summary>The id that a network namespace has in this one, or null where it was not given one: nothing links to it.</summary>
    /// <param name="namespaceFile">An open /run/netns/NAME or /proc/PID/ns/net.</param>
    public int? GetNamespaceId(SafeHandle namespaceFile)
    {
        using var held = new HeldDescriptor(namespaceFile);
        var writer = _channel.Begin(RTM_GETNSID, 0);
        writer.Body(default(RtGenMessage));
        writer.Attribute(NETNSA_FD, held.Fd);
        int? id = null;
        var errno = _channel.Exchange(writer.Message, out var reason, (in NetlinkMessage message) =>
        {
            var attributes = message.Attributes<RtGenMessage>();
            while (attributes.TryRead(out var attribute))
            {
                if (attribute.Type == NETNSA_NSID && attribute.Int32 is >= 0 and var value)
                {
                    id = value;
                }
            }
        });
        // EINVAL: the file is not a network namespace (any more).
        return errno is 0 or Errno.EINVAL ? id : throw new NetlinkException("ask for a namespace's id", errno, reason);
    }

    /// <param name="asked">The interface, as messages name it.</param>
    private Link? Ask<T>(Span<byte> request, T asked)
    {
        Link? link = null;
        var errno = _channel.Exchange(request, out var reason, (in NetlinkMessage message) => link = Link.Parse(message));
        return errno is 0 or Errno.ENODEV ? link : throw new NetlinkException($"ask for interface {asked}", errno, reason);
    }

    private Span<byte> LinkRequest(ushort flags, int ifindex)
    {
        var writer = _channel.Begin(RTM_GETLINK, flags);
        writer.Body(new IfInfoMessage { Ifindex = ifindex });
        writer.Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        return writer.Message;
    }

    private Span<byte> StatisticsRequest(ushort flags, int ifindex)
    {
        var writer = _channel.Begin(RTM_GETSTATS, flags);
        writer.Body(new IfStatsMessage { Ifindex = ifindex, FilterMask = 1 << (IFLA_STATS_LINK_64 - 1) });
        return writer.Message;
    }
}
