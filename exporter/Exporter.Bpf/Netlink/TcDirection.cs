namespace Exporter.Bpf.Netlink;

/// <summary>The two places where TC runs programs, from the interface's point of view.</summary>
public enum TcDirection
{
    /// <summary>Packets into the interface: those that the pod behind a veth transmits.</summary>
    Ingress,

    /// <summary>Packets out of the interface: those that the pod behind a veth receives.</summary>
    Egress,
}
