using System.Net;
using System.Runtime.InteropServices;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>A network interface as rtnetlink describes it.</summary>
/// <param name="Kind">The driver: veth, netkit, bridge; empty where it does not say.</param>
/// <param name="HardwareAddress">Six bytes as a number, in the order of the wire; 0 where there is none.</param>
/// <param name="PeerIfindex">IFLA_LINK: the other end's index, in the other end's namespace; 0 where there is none.</param>
/// <param name="PeerNamespaceId">
/// IFLA_LINK_NETNSID: the other end's namespace, by the id that it has in this one; null where both ends are in the same.
/// </param>
public sealed record Link(int Ifindex, string Name, string Kind, ulong HardwareAddress, int PeerIfindex, int? PeerNamespaceId)
{
    /// <summary>
    /// The other end is in a namespace that has no id any more, since it is being taken down: IFLA_LINK_NETNSID is -1
    /// (net/core/net_namespace.c, peernet2id_alloc).
    /// </summary>
    public bool IsPeerNamespaceGoing { get; init; }

    internal static Link? Parse(in NetlinkMessage message)
    {
        var body = message.Body<IfInfoMessage>();
        if (body.Family != AF_UNSPEC || body.Ifindex <= 0)
        {
            // A bridge speaks of its ports with AF_BRIDGE: an RTM_DELLINK then means that a port left it.
            return null;
        }
        string name = "", kind = "";
        var hardwareAddress = 0ul;
        var peerIfindex = 0;
        int? peerNamespaceId = null;
        var isGoing = false;
        var attributes = message.Attributes<IfInfoMessage>();
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case IFLA_IFNAME:
                    name = attribute.Text;
                    break;
                case IFLA_ADDRESS:
                    hardwareAddress = attribute.HardwareAddress;
                    break;
                case IFLA_LINK:
                    peerIfindex = attribute.Int32 ?? 0;
                    break;
                case IFLA_LINK_NETNSID:
                    peerNamespaceId = attribute.Int32 is >= 0 and var id ? id : null;
                    isGoing = attribute.Int32 < 0;
                    break;
                case IFLA_LINKINFO:
                    var nested = attribute.Nested;
                    while (nested.TryRead(out var info))
                    {
                        if (info.Type == IFLA_INFO_KIND)
                        {
                            kind = info.Text;
                        }
                    }
                    break;
            }
        }
        return new(body.Ifindex, name, kind, hardwareAddress, peerIfindex, peerNamespaceId) { IsPeerNamespaceGoing = isGoing };
    }
}

/// <summary>An interface's own counters (struct rtnl_link_stats64), from the interface's point of view.</summary>
/// <param name="TransmitDropped">Handed to the interface, seen by TC egress, and dropped by the driver.</param>
public readonly record struct LinkStatistics(
    int Ifindex, ulong ReceivedPackets, ulong TransmittedPackets, ulong ReceivedBytes, ulong TransmittedBytes, ulong TransmitDropped)
{
    internal static LinkStatistics? Parse(in NetlinkMessage message)
    {
        var attributes = message.Attributes<IfStatsMessage>();
        while (attributes.TryRead(out var attribute))
        {
            // rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped
            if (attribute.Type == IFLA_STATS_LINK_64 && MemoryMarshal.Cast<byte, ulong>(attribute.Value) is { Length: >= 8 } counters)
            {
                return new(message.Body<IfStatsMessage>().Ifindex, counters[0], counters[1], counters[2], counters[3], counters[7]);
            }
        }
        return null;
    }
}

/// <summary>An address of an interface, in the namespace that was asked about.</summary>
public readonly record struct LinkAddress(int Ifindex, IPAddress Address)
{
    internal static LinkAddress? Parse(in NetlinkMessage message)
    {
        var body = message.Body<IfAddrMessage>();
        ReadOnlySpan<byte> local = default, address = default;
        var attributes = message.Attributes<IfAddrMessage>();
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case IFA_LOCAL:
                    local = attribute.Value;
                    break;
                case IFA_ADDRESS:
                    address = attribute.Value;
                    break;
            }
        }
        // On point-to-point links IFA_ADDRESS is the other end's (rtnetlink(7)); IPv6 has IFA_LOCAL only there.
        var own = local.IsEmpty ? address : local;
        return own.Length is 4 or 16 && body.Index > 0 ? new(body.Index, new IPAddress(own)) : null;
    }
}

/// <summary>struct ifinfomsg.</summary>
internal readonly record struct IfInfoMessage(byte Family, byte Padding, ushort Type, int Ifindex, uint Flags, uint Change);

/// <summary>struct ifaddrmsg.</summary>
internal readonly record struct IfAddrMessage(byte Family, byte PrefixLength, byte Flags, byte Scope, int Index);

/// <summary>struct tcmsg. Info is the priority in the upper and the protocol, in network order, in the lower half.</summary>
internal readonly record struct TcMessage(byte Family, byte Padding1, ushort Padding2, int Ifindex, uint Handle, uint Parent, uint Info);

/// <summary>struct if_stats_msg.</summary>
internal readonly record struct IfStatsMessage(byte Family, byte Padding1, ushort Padding2, int Ifindex, uint FilterMask);

/// <summary>struct rtgenmsg.</summary>
internal readonly record struct RtGenMessage(byte Family);
