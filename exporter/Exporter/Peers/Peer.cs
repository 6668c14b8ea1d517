namespace Exporter.Peers;

/// <summary>By which name a peer is known.</summary>
internal enum PeerKind : byte
{
    /// <summary>By the class of its address alone.</summary>
    Class,

    /// <summary>By a Service that has its address.</summary>
    Service,

    /// <summary>By the node that has its address.</summary>
    Node,
}

/// <summary>The other end of a flow, as an address and a port show it.</summary>
/// <param name="Namespace">The namespace of a Service; else empty.</param>
/// <param name="Name">The name of a Service or node; else the class.</param>
/// <param name="Class">The class that the address has whatever its name is: service for a Service's own address, node for a node's, else one of <see cref="PeerClasses"/>.</param>
/// <param name="IsVip">Whether the address is a Service's own one, which conntrack translates into a backend's, and not a backend's.</param>
internal readonly record struct Peer(PeerKind Kind, string Namespace, string Name, string Class, bool IsVip)
{
    internal const string ServiceClass = "service";
    internal const string NodeClass = "node";
}
