using Exporter.Bpf;
using Exporter.Signals.Objects;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>Everything that a signal needs to load its programs.</summary>
/// <param name="Packets">The object whose programs see each packet of a pod.</param>
/// <param name="Pins">Null: nothing is pinned.</param>
/// <param name="IsCommitted">Whether the rows in the map of this id are in the ledger.</param>
/// <param name="Namespaces">Finds the numbers of network namespaces; it fails where the kernel does not say them.</param>
internal sealed record LoadContext(BpfOptions Options, Task<PacketObject> Packets, PinDirectory? Pins, Func<int, bool> IsCommitted, Task<NetNamespaces> Namespaces);
