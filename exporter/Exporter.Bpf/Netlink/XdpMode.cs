namespace Exporter.Bpf.Netlink;

/// <summary>The place where an interface runs an XDP program (XDP_ATTACHED_* of linux/if_link.h).</summary>
public enum XdpMode
{
    None,

    /// <summary>In the driver, before the packet has a struct sk_buff (XDP_ATTACHED_DRV).</summary>
    Native,

    /// <summary>In the network stack, behind the driver (XDP_ATTACHED_SKB).</summary>
    Generic,

    /// <summary>On the device itself (XDP_ATTACHED_HW).</summary>
    Offloaded,

    /// <summary>In more than one place (XDP_ATTACHED_MULTI).</summary>
    Several,
}
