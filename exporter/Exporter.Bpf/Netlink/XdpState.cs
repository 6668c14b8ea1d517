using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>The XDP program of an interface: IFLA_XDP (net/core/rtnetlink.c, rtnl_xdp_fill).</summary>
/// <param name="ProgramId">
/// 0 where there is no program. The kernel names none for <see cref="XdpMode.Several"/>: then it is the driver's program, or the generic one where the
/// driver has none.
/// </param>
public readonly record struct XdpState(XdpMode Mode, int ProgramId)
{
    internal static XdpState Parse(NetlinkAttributes attributes)
    {
        var mode = XdpMode.None;
        int program = 0, native = 0, generic = 0;
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case IFLA_XDP_ATTACHED when !attribute.Value.IsEmpty:
                    mode = ModeOf(attribute.Value[0]);
                    break;
                case IFLA_XDP_PROG_ID:
                    program = attribute.Int32 ?? 0;
                    break;
                case IFLA_XDP_DRV_PROG_ID:
                    native = attribute.Int32 ?? 0;
                    break;
                case IFLA_XDP_SKB_PROG_ID:
                    generic = attribute.Int32 ?? 0;
                    break;
            }
        }
        return mode == XdpMode.None ? default : new(mode, program != 0 ? program : native != 0 ? native : generic);
    }

    private static XdpMode ModeOf(byte attached) => attached switch
    {
        XDP_ATTACHED_DRV => XdpMode.Native,
        XDP_ATTACHED_SKB => XdpMode.Generic,
        XDP_ATTACHED_HW => XdpMode.Offloaded,
        XDP_ATTACHED_MULTI => XdpMode.Several,
        _ => XdpMode.None,
    };
}
