namespace Exporter.Signals.Uplinks;

/// <summary>The ways to count frames that arrive at an uplink, as the option Uplinks:Hook has them.</summary>
internal enum UplinkHook
{
    /// <summary>By TC ingress: tcx, or clsact where Attach:Hook has that.</summary>
    Tcx,

    /// <summary>By XDP in the driver.</summary>
    Xdp,

    /// <summary>By XDP in the stack, where the driver has none.</summary>
    XdpGeneric,
}
