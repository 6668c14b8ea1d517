using System.Net;

namespace Exporter.Peers;

/// <summary>What an object of the API says of addresses, as it is read.</summary>
/// <param name="Object">The object's own name, by which it changes and leaves: an EndpointSlice's, which is not its Service's.</param>
/// <param name="Name">The name to show: the Service's or the node's.</param>
/// <param name="Addresses">In any order, also repeated.</param>
/// <param name="Ports">As <see cref="PeerSource.Port"/>, in any order, also repeated.</param>
internal readonly record struct PeerFacts(
    PeerRole Role, string Namespace, string Object, string Name, IReadOnlyList<IPAddress> Addresses, IReadOnlyList<uint> Ports);
