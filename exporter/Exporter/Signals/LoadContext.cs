using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Signals.Objects;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>Everything that a signal needs to load its programs.</summary>
/// <param name="Packets">The object whose programs see each packet of a pod.</param>
/// <param name="Pins">Null: nothing is pinned.</param>
/// <param name="IsCommitted">Whether the rows in the map of this id are in the ledger.</param>
/// <param name="AttachTc">Makes the way that a pair of programs is attached to interfaces by; the signal disposes it where it can be disposed.</param>
/// <param name="Namespaces">Finds the numbers of network namespaces; it fails where the kernel does not say them.</param>
internal sealed record LoadContext(BpfOptions Options, Task<PacketObject> Packets, PinDirectory? Pins, Func<int, bool> IsCommitted, Func<ProgramPair, TcAttacher> AttachTc, Task<NetNamespaces> Namespaces);
