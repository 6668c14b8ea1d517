namespace Exporter.Bpf.Netlink;

/// <summary>The numbers of nfnetlink that are used, named as in linux/netfilter/nfnetlink.h and linux/netfilter/nfnetlink_conntrack.h.</summary>
internal static class Nfnetlink
{
    internal const ushort NFNL_SUBSYS_CTNETLINK = 1;
    internal const byte NFNETLINK_V0 = 0;

    internal const ushort IPCTNL_MSG_CT_NEW = 0;
    internal const ushort IPCTNL_MSG_CT_GET = 1;

    internal const ushort CTA_TUPLE_ORIG = 1;
    internal const ushort CTA_TUPLE_REPLY = 2;

    internal const ushort CTA_TUPLE_IP = 1;
    internal const ushort CTA_TUPLE_PROTO = 2;

    internal const ushort CTA_IP_V4_SRC = 1;
    internal const ushort CTA_IP_V4_DST = 2;
    internal const ushort CTA_IP_V6_SRC = 3;
    internal const ushort CTA_IP_V6_DST = 4;

    internal const ushort CTA_PROTO_NUM = 1;
    internal const ushort CTA_PROTO_SRC_PORT = 2;
    internal const ushort CTA_PROTO_DST_PORT = 3;

    /// <summary>A message's type: the subsystem in the upper byte.</summary>
    internal static ushort Conntrack(ushort message) => (ushort)((NFNL_SUBSYS_CTNETLINK << 8) | message);
}

/// <summary>struct nfgenmsg: the family, the version of nfnetlink, and a resource in the order of the network.</summary>
internal readonly record struct NfGenMessage(byte Family, byte Version, ushort ResourceId);
