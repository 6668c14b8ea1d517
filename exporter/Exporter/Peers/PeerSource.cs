namespace Exporter.Peers;

/// <summary>What an object of the API says of its addresses.</summary>
internal enum PeerRole : byte
{
    /// <summary>A Service's cluster, external and load balancer addresses.</summary>
    Vip,

    /// <summary>Addresses of a Service's backends, as one EndpointSlice lists them.</summary>
    Endpoint,

    /// <summary>A node's addresses.</summary>
    Node,
}

/// <summary>An object of the API that names addresses: all its addresses share this one. Immutable.</summary>
/// <param name="name">The name of the Service or node, which is not an EndpointSlice's own name.</param>
/// <param name="ports">Each as <see cref="Port"/>, ascending, each once.</param>
internal sealed class PeerSource(PeerRole role, string @namespace, string name, uint[] ports) : IComparable<PeerSource>
{
    internal PeerRole Role => role;

    internal string Namespace => @namespace;

    internal string Name => name;

    /// <summary>What an address of this object alone has in the table.</summary>
    internal PeerSource[] Alone => field ??= [this];

    /// <summary>A port of a protocol in one number.</summary>
    /// <param name="port">0: any.</param>
    /// <param name="protocol">IANA's number: 6, 17, 132.</param>
    internal static uint Port(ushort port, byte protocol) => ((uint)protocol << 16) | port;

    internal bool Has(uint port) => ports.AsSpan().Contains(port);

    internal bool IsSame(in PeerFacts facts, ReadOnlySpan<uint> factsPorts) =>
        role == facts.Role && @namespace == facts.Namespace && name == facts.Name && factsPorts.SequenceEqual(ports);

    /// <summary>By namespace and name: of several Services with one address, the first in this order is shown.</summary>
    public int CompareTo(PeerSource? other) =>
        string.CompareOrdinal(Namespace, other?.Namespace) is var byNamespace and not 0 ? byNamespace
        : string.CompareOrdinal(Name, other?.Name) is var byName and not 0 ? byName
        : Role.CompareTo(other!.Role);
}
