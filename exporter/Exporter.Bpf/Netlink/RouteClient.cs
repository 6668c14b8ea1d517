using Exporter.Bpf.Native;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>Asks rtnetlink for routes, in the network namespace of the thread that opened it. Used by one thread at a time.</summary>
public sealed class RouteClient : IDisposable
{
    /// <summary>The same in every namespace (drivers/net/loopback.c, loopback_net_init; include/net/flow.h, LOOPBACK_IFINDEX).</summary>
    private const int LoopbackIfindex = 1;

    private readonly NetlinkChannel _channel = new();

    public void Dispose() => _channel.Dispose();

    /// <summary>
    /// The indexes of the interfaces that the default routes of IPv4 and IPv6 in the table main forward to, without the loopback interface. The kernel
    /// can list a table only as a whole, so this takes as long as the table is.
    /// </summary>
    public IReadOnlySet<int> GetDefaultInterfaces()
    {
        var interfaces = new HashSet<int>();
        foreach (var route in (IEnumerable<DefaultRoute>)[.. GetDefaultRoutes(AF_INET), .. GetDefaultRoutes(AF_INET6)])
        {
            interfaces.UnionWith(route.Interfaces);
            if (route is { Interfaces.Count: 0, NextHopId: not 0 and var id } && GetNextHop(id) is { } nextHop)
            {
                interfaces.Add(nextHop.Ifindex);
                interfaces.UnionWith(nextHop.Members.Select(member => GetNextHop(member)?.Ifindex ?? 0));
            }
        }
        interfaces.ExceptWith([0, LoopbackIfindex]);
        return interfaces;
    }

    private List<DefaultRoute> GetDefaultRoutes(byte family)
    {
        var writer = _channel.Begin(RTM_GETROUTE, NLM_F_DUMP);
        writer.Body(new RtMessage { Family = family, Table = RT_TABLE_MAIN, Type = RTN_UNICAST });
        try
        {
            return _channel.Dump(writer.Message, "list the routes", static (in NetlinkMessage message) => DefaultRoute.Parse(message));
        }
        catch (NetlinkException e) when (e.ErrorNumber == Errno.ENOENT)
        {
            // A table is made for its first route (net/ipv4/fib_frontend.c, inet_dump_fib).
            return [];
        }
    }

    /// <summary>Null where it is gone.</summary>
    private NextHop? GetNextHop(int id)
    {
        var writer = _channel.Begin(RTM_GETNEXTHOP, 0);
        writer.Body(default(NhMessage));
        writer.Attribute(NHA_ID, id);
        NextHop? nextHop = null;
        var errno = _channel.Exchange(writer.Message, out var reason, (in NetlinkMessage message) => nextHop = NextHop.Parse(message));
        return errno is 0 or Errno.ENOENT ? nextHop : throw new NetlinkException($"ask for next hop {id}", errno, reason);
    }
}
