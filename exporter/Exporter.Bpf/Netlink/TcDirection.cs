namespace Exporter.Bpf.Netlink;

/// <summary>The two places where TC runs programs, from the interface's point of view.</summary>
public enum TcDirection
{
    /// <summary>What comes into the interface: what the pod behind a veth transmits.</summary>
    Ingress,

    /// <summary>What goes out of the interface: what the pod behind a veth receives.</summary>
    Egress,
}
