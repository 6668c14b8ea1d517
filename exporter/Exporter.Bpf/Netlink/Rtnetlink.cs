namespace Exporter.Bpf.Netlink;

/// <summary>
/// The numbers of rtnetlink(7) that are used, named as in linux/netlink.h, linux/rtnetlink.h, linux/if_link.h,
/// linux/if_addr.h, linux/nexthop.h, linux/net_namespace.h, linux/if.h and linux/pkt_cls.h.
/// </summary>
internal static class Rtnetlink
{
    internal const ushort NLMSG_ERROR = 2;
    internal const ushort NLMSG_DONE = 3;
    internal const ushort NLM_F_REQUEST = 0x1;
    internal const ushort NLM_F_ACK = 0x4;
    internal const ushort NLM_F_ECHO = 8;
    internal const ushort NLM_F_DUMP_INTR = 0x10;
    internal const ushort NLM_F_EXCL = 0x200;
    internal const ushort NLM_F_DUMP = 0x300;
    internal const ushort NLM_F_CREATE = 0x400;
    internal const ushort NLM_F_ACK_TLVS = 0x200;
    internal const ushort NLMSGERR_ATTR_MSG = 1;
    internal const ushort NLA_F_NESTED = 0x8000;
    internal const ushort NLA_TYPE_MASK = 0x3fff;

    internal const ushort RTM_NEWLINK = 16;
    internal const ushort RTM_DELLINK = 17;
    internal const ushort RTM_GETLINK = 18;
    internal const ushort RTM_GETADDR = 22;
    internal const ushort RTM_NEWROUTE = 24;
    internal const ushort RTM_DELROUTE = 25;
    internal const ushort RTM_GETROUTE = 26;
    internal const ushort RTM_NEWQDISC = 36;
    internal const ushort RTM_DELQDISC = 37;
    internal const ushort RTM_GETQDISC = 38;
    internal const ushort RTM_NEWTFILTER = 44;
    internal const ushort RTM_DELTFILTER = 45;
    internal const ushort RTM_GETTFILTER = 46;
    internal const ushort RTM_GETNSID = 90;
    internal const ushort RTM_GETSTATS = 94;
    internal const ushort RTM_NEWNEXTHOP = 104;
    internal const ushort RTM_DELNEXTHOP = 105;
    internal const ushort RTM_GETNEXTHOP = 106;

    internal const int RTNLGRP_LINK = 1;
    internal const int RTNLGRP_IPV4_ROUTE = 7;
    internal const int RTNLGRP_IPV6_ROUTE = 11;
    internal const int RTNLGRP_NEXTHOP = 32;

    internal const ushort IFLA_ADDRESS = 1;
    internal const ushort IFLA_IFNAME = 3;
    internal const ushort IFLA_MTU = 4;
    internal const ushort IFLA_LINK = 5;
    internal const ushort IFLA_MASTER = 10;
    internal const ushort IFLA_LINKINFO = 18;
    internal const ushort IFLA_EXT_MASK = 29;
    internal const ushort IFLA_NUM_RX_QUEUES = 32;
    internal const ushort IFLA_LINK_NETNSID = 37;
    internal const ushort IFLA_XDP = 43;
    internal const ushort IFLA_PERM_ADDRESS = 54;
    internal const ushort IFLA_INFO_KIND = 1;
    internal const ushort IFLA_XDP_ATTACHED = 2;
    internal const ushort IFLA_XDP_PROG_ID = 4;
    internal const ushort IFLA_XDP_DRV_PROG_ID = 5;
    internal const ushort IFLA_XDP_SKB_PROG_ID = 6;
    internal const byte XDP_ATTACHED_DRV = 1;
    internal const byte XDP_ATTACHED_SKB = 2;
    internal const byte XDP_ATTACHED_HW = 3;
    internal const byte XDP_ATTACHED_MULTI = 4;
    internal const ushort IFLA_STATS_LINK_64 = 1;
    internal const uint RTEXT_FILTER_SKIP_STATS = 8;
    internal const uint IFF_UP = 1;
    internal const uint IFF_LOOPBACK = 8;
    internal const uint IFF_RUNNING = 0x40;

    internal const ushort ARPHRD_ETHER = 1;
    internal const ushort ARPHRD_LOOPBACK = 772;

    internal const ushort IFA_ADDRESS = 1;
    internal const ushort IFA_LOCAL = 2;
    internal const ushort IFA_TARGET_NETNSID = 10;

    internal const ushort RTA_OIF = 4;
    internal const ushort RTA_MULTIPATH = 9;
    internal const ushort RTA_TABLE = 15;
    internal const ushort RTA_NH_ID = 30;
    internal const byte RTN_UNICAST = 1;
    internal const byte RT_TABLE_MAIN = 254;

    internal const ushort NHA_ID = 1;
    internal const ushort NHA_GROUP = 2;
    internal const ushort NHA_OIF = 5;

    internal const ushort NETNSA_NSID = 1;
    internal const ushort NETNSA_FD = 3;

    internal const ushort TCA_KIND = 1;
    internal const ushort TCA_OPTIONS = 2;
    internal const ushort TCA_INGRESS_BLOCK = 13;
    internal const ushort TCA_BPF_FD = 6;
    internal const ushort TCA_BPF_NAME = 7;
    internal const ushort TCA_BPF_FLAGS = 8;
    internal const ushort TCA_BPF_ID = 11;
    internal const uint TCA_BPF_FLAG_ACT_DIRECT = 1;
    internal const uint TC_H_CLSACT = 0xffff_fff1;
    internal const uint TC_H_CLSACT_INGRESS = 0xffff_fff2;
    internal const uint TC_H_CLSACT_EGRESS = 0xffff_fff3;
    internal const ushort ETH_P_ALL = 3;

    internal const byte AF_UNSPEC = 0;
    internal const byte AF_INET = 2;
    internal const byte AF_INET6 = 10;

    internal const int MessageHeaderLength = 16;
    internal const int AttributeHeaderLength = 4;

    /// <summary>Messages, headers and attributes all start at multiples of four bytes.</summary>
    internal static int Align(int length) => (length + 3) & ~3;
}
