namespace Exporter.Bpf.Netlink;

/// <summary>The kinds of the qdisc that an interface can have as <c>ffff:</c>.</summary>
internal enum IngressQdisc
{
    /// <summary>clsact: filters in both directions.</summary>
    Clsact,

    /// <summary>
    /// ingress: filters in one direction. The kernel puts those for egress into the same block (net/sched/sch_ingress.c, ingress_tcf_block), so
    /// they would run for the wrong packets.
    /// </summary>
    Ingress,
}

internal static class IngressQdiscs
{
    /// <summary>The directions in which the qdisc can have filters.</summary>
    internal static ReadOnlySpan<TcDirection> Directions(this IngressQdisc qdisc) =>
        qdisc == IngressQdisc.Clsact ? [TcDirection.Ingress, TcDirection.Egress] : [TcDirection.Ingress];
}
