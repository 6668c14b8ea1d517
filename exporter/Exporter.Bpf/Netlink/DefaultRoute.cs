using System.Runtime.InteropServices;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>A default route of the table main: it forwards to any destination from any source.</summary>
/// <param name="Interfaces">The indexes of the interfaces of its next hops.</param>
/// <param name="NextHopId">
/// The next-hop object that it uses, or 0. The kernel sends the object's interfaces as well, unless the sysctl net.ipv4.nexthop_compat_mode is 0
/// (Documentation/networking/ip-sysctl.rst; net/ipv4/fib_semantics.c, fib_dump_info).
/// </param>
internal sealed record DefaultRoute(IReadOnlyList<int> Interfaces, int NextHopId)
{
    /// <summary>sizeof(struct rtnexthop): length, flags, hops, the interface's index; attributes follow.</summary>
    private const int NextHopLength = 8;

    internal static DefaultRoute? Parse(in NetlinkMessage message)
    {
        var body = message.Body<RtMessage>();
        if (body.Family is not (AF_INET or AF_INET6) || body.DestinationLength != 0 || body.SourceLength != 0 || body.Type != RTN_UNICAST)
        {
            return null;
        }
        int table = body.Table;
        var nextHop = 0;
        var interfaces = new List<int>();
        var attributes = message.Attributes<RtMessage>();
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case RTA_TABLE:
                    table = attribute.Int32 ?? table;
                    break;
                case RTA_OIF when attribute.Int32 is > 0 and var ifindex:
                    interfaces.Add(ifindex);
                    break;
                case RTA_MULTIPATH:
                    ReadMultipath(attribute.Value, interfaces);
                    break;
                case RTA_NH_ID:
                    nextHop = attribute.Int32 ?? 0;
                    break;
            }
        }
        return table == RT_TABLE_MAIN ? new(interfaces, nextHop) : null;
    }

    /// <summary>Walks over struct rtnexthop (linux/rtnetlink.h). Stops at a truncated one.</summary>
    private static void ReadMultipath(ReadOnlySpan<byte> rest, List<int> interfaces)
    {
        while (rest.Length >= NextHopLength && MemoryMarshal.Read<ushort>(rest) is >= NextHopLength and var length && length <= rest.Length)
        {
            if (MemoryMarshal.Read<int>(rest[4..]) is > 0 and var ifindex)
            {
                interfaces.Add(ifindex);
            }
            rest = rest[Math.Min(rest.Length, Align(length))..];
        }
    }
}

/// <summary>struct rtmsg.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct RtMessage
{
    internal byte Family { get; init; }

    internal byte DestinationLength { get; init; }

    internal byte SourceLength { get; init; }

    internal byte Tos { get; init; }

    internal byte Table { get; init; }

    internal byte Protocol { get; init; }

    internal byte Scope { get; init; }

    internal byte Type { get; init; }

    internal uint Flags { get; init; }
}
