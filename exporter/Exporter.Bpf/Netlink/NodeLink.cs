using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>An interface as rtnetlink describes it, with the facts that concern the node's own ones (rtnetlink(7), linux/if_link.h).</summary>
/// <param name="Kind">The kind of a virtual interface: bond, bridge, vlan; empty where it does not say, as physical ones do not.</param>
public sealed record NodeLink(int Ifindex, string Name, string Kind)
{
    /// <summary>IFLA_MTU.</summary>
    public int Mtu { get; init; }

    /// <summary>IFF_UP: set up by an administrator, with a carrier or without (netdevice(7)).</summary>
    public bool IsUp { get; init; }

    /// <summary>IFF_LOOPBACK.</summary>
    public bool IsLoopback { get; init; }

    /// <summary>IFLA_MASTER: the index of the bond, team or bridge that this is a port of; 0 where there is none.</summary>
    public int Master { get; init; }

    /// <summary>IFLA_INFO_SLAVE_KIND: the kind of the master, such as bond, team or bridge; empty where there is none.</summary>
    public string MasterKind { get; init; } = "";

    /// <summary>
    /// IFLA_PERM_ADDRESS: the address that the device came with, as a number in the order of the wire. A bond gives its ports its own address, and
    /// this one stays. 0 where there is none, as on virtual interfaces, and before Linux 5.6.
    /// </summary>
    public ulong PermanentAddress { get; init; }

    /// <summary>IFLA_NUM_RX_QUEUES: the receive queues that the interface has room for; not all need be in use.</summary>
    public int ReceiveQueues { get; init; }

    /// <summary>
    /// IFLA_LINK: the index of the interface that this one is on top of, as a VLAN's is; of the peer, for a veth. 0 where there is none, or where it
    /// is in another namespace (IFLA_LINK_NETNSID).
    /// </summary>
    public int LowerIfindex { get; init; }

    public XdpState Xdp { get; init; }

    internal static NodeLink? Parse(in NetlinkMessage message)
    {
        var body = message.Body<IfInfoMessage>();
        if (body.Family != AF_UNSPEC || body.Ifindex <= 0)
        {
            // A bridge speaks of its ports with AF_BRIDGE.
            return null;
        }
        var link = new NodeLink(body.Ifindex, "", "") { IsUp = (body.Flags & IFF_UP) != 0, IsLoopback = (body.Flags & IFF_LOOPBACK) != 0 };
        var isLowerElsewhere = false;
        var attributes = message.Attributes<IfInfoMessage>();
        while (attributes.TryRead(out var attribute))
        {
            isLowerElsewhere |= attribute.Type == IFLA_LINK_NETNSID;
            link = link.With(attribute);
        }
        return isLowerElsewhere ? link with { LowerIfindex = 0 } : link;
    }

    private NodeLink With(in NetlinkAttribute attribute)
    {
        switch (attribute.Type)
        {
            case IFLA_IFNAME:
                return this with { Name = attribute.Text };
            case IFLA_MTU:
                return this with { Mtu = attribute.Int32 ?? 0 };
            case IFLA_MASTER:
                return this with { Master = attribute.Int32 ?? 0 };
            case IFLA_NUM_RX_QUEUES:
                return this with { ReceiveQueues = attribute.Int32 ?? 0 };
            case IFLA_LINK:
                return this with { LowerIfindex = attribute.Int32 ?? 0 };
            case IFLA_PERM_ADDRESS:
                return this with { PermanentAddress = attribute.HardwareAddress };
            case IFLA_XDP:
                return this with { Xdp = XdpState.Parse(attribute.Nested) };
            case IFLA_LINKINFO:
                var (kind, masterKind) = ParseKinds(attribute.Nested);
                return this with { Kind = kind, MasterKind = masterKind };
            default:
                return this;
        }
    }

    private static (string Kind, string MasterKind) ParseKinds(NetlinkAttributes attributes)
    {
        var (kind, masterKind) = ("", "");
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case IFLA_INFO_KIND:
                    kind = attribute.Text;
                    break;
                case IFLA_INFO_SLAVE_KIND:
                    masterKind = attribute.Text;
                    break;
            }
        }
        return (kind, masterKind);
    }
}
