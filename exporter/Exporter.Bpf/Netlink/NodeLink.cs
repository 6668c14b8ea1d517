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

    /// <summary>IFF_RUNNING: it is operational, with a carrier where it needs one.</summary>
    public bool IsRunning { get; init; }

    /// <summary>IFF_LOOPBACK.</summary>
    public bool IsLoopback { get; init; }

    /// <summary>
    /// ARPHRD_ETHER, or ARPHRD_LOOPBACK, whose frames have the same header (linux/if_arp.h). Interfaces of PPP, WireGuard, TUN and tunnels of IP have packets
    /// without one.
    /// </summary>
    public bool IsEthernet { get; init; } = true;

    /// <summary>IFLA_MASTER: the index of the bond, team or bridge that this is a port of; 0 where there is none.</summary>
    public int Master { get; init; }

    /// <summary>
    /// IFLA_PERM_ADDRESS: the address that the device came with, as a number in the order of the wire. A bond gives its ports its own address, and
    /// this one stays. 0 where there is none, as on virtual interfaces, and before Linux 5.6.
    /// </summary>
    public ulong PermanentAddress { get; init; }

    /// <summary>IFLA_NUM_RX_QUEUES: the receive queues that the interface has room for; not all need be in use.</summary>
    public int ReceiveQueues { get; init; }

    public XdpState Xdp { get; init; }

    internal static NodeLink? Parse(in NetlinkMessage message)
    {
        var body = message.Body<IfInfoMessage>();
        if (body.Family != AF_UNSPEC || body.Ifindex <= 0)
        {
            // A bridge speaks of its ports with AF_BRIDGE.
            return null;
        }
        string name = "", kind = "";
        var (mtu, master, queues, permanentAddress, xdp) = (0, 0, 0, 0ul, default(XdpState));
        var attributes = message.Attributes<IfInfoMessage>();
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case IFLA_IFNAME:
                    name = attribute.Text;
                    break;
                case IFLA_MTU:
                    mtu = attribute.Int32 ?? 0;
                    break;
                case IFLA_MASTER:
                    master = attribute.Int32 ?? 0;
                    break;
                case IFLA_NUM_RX_QUEUES:
                    queues = attribute.Int32 ?? 0;
                    break;
                case IFLA_PERM_ADDRESS:
                    permanentAddress = attribute.HardwareAddress;
                    break;
                case IFLA_XDP:
                    xdp = XdpState.Parse(attribute.Nested);
                    break;
                case IFLA_LINKINFO:
                    kind = ParseKind(attribute.Nested);
                    break;
            }
        }
        return new(body.Ifindex, name, kind)
        {
            Mtu = mtu,
            IsUp = (body.Flags & IFF_UP) != 0,
            IsRunning = (body.Flags & IFF_RUNNING) != 0,
            IsEthernet = body.Type is ARPHRD_ETHER or ARPHRD_LOOPBACK,
            IsLoopback = (body.Flags & IFF_LOOPBACK) != 0,
            Master = master,
            PermanentAddress = permanentAddress,
            ReceiveQueues = queues,
            Xdp = xdp,
        };
    }

    private static string ParseKind(NetlinkAttributes attributes)
    {
        var kind = "";
        while (attributes.TryRead(out var attribute))
        {
            kind = attribute.Type == IFLA_INFO_KIND ? attribute.Text : kind;
        }
        return kind;
    }
}
