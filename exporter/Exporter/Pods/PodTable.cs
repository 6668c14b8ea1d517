using System.Collections.Frozen;
using System.Collections.Immutable;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;

namespace Exporter.Pods;

/// <summary>
/// Packets that an interface has carried, and that were not counted, from the pod's point of view: those from before it was known, and from
/// while it had no programs. Null where that is not known.
/// </summary>
internal readonly record struct UncountedPackets(ulong? Transmitted, ulong? Received);

/// <summary>The place where an interface's totals outlive the process.</summary>
internal interface IInterfaceRecord
{
    /// <summary>Adds a row with the next commit. Callers hold the ledger's lock.</summary>
    void Add(RowFields fields, ReadOnlySpan<ulong> row);

    /// <summary>Everything that was added, by previous processes too; all zero where nothing was.</summary>
    void ReadTotal(RowFields fields, Span<ulong> total);
}

/// <summary>
/// Counts of one interface, from the pod's point of view. Written by the drain, read by any thread: a
/// reader may see one drain's numbers half added, and sees them whole the next time.
/// </summary>
internal sealed class InterfaceTotals
{
    private ulong _transmittedPackets;
    private ulong _transmittedBytes;
    private ulong _receivedPackets;
    private ulong _receivedBytes;

    internal (ulong Packets, ulong Bytes) Transmitted => (Volatile.Read(ref _transmittedPackets), Volatile.Read(ref _transmittedBytes));

    internal (ulong Packets, ulong Bytes) Received => (Volatile.Read(ref _receivedPackets), Volatile.Read(ref _receivedBytes));

    internal void Add((ulong Packets, ulong Bytes) transmitted, (ulong Packets, ulong Bytes) received)
    {
        Volatile.Write(ref _transmittedPackets, _transmittedPackets + transmitted.Packets);
        Volatile.Write(ref _transmittedBytes, _transmittedBytes + transmitted.Bytes);
        Volatile.Write(ref _receivedPackets, _receivedPackets + received.Packets);
        Volatile.Write(ref _receivedBytes, _receivedBytes + received.Bytes);
    }
}

/// <summary>
/// The interfaces that are counted now, by index. The reconciler publishes a new table with every change; readers take
/// <see cref="Current"/> once and work on that.
/// </summary>
internal sealed class PodTable
{
    private ImmutableDictionary<int, PodInterface> _current = ImmutableDictionary<int, PodInterface>.Empty;
    private ImmutableDictionary<ulong, PodInterface> _byNamespace = ImmutableDictionary<ulong, PodInterface>.Empty;
    private FrozenSet<ulong> _peerNamespaces = [];

    internal ImmutableDictionary<int, PodInterface> Current
    {
        get => Volatile.Read(ref _current);
        set => Volatile.Write(ref _current, value);
    }

    /// <summary>The peer namespaces of all interfaces that there are, also of those that are not counted yet.</summary>
    internal FrozenSet<ulong> PeerNamespaces
    {
        get => Volatile.Read(ref _peerNamespaces);
        private set => Volatile.Write(ref _peerNamespaces, value);
    }

    /// <summary>One interface of each network namespace that is known, by the number that the BPF programs know it by.</summary>
    internal ImmutableDictionary<ulong, PodInterface> ByNamespace
    {
        get => Volatile.Read(ref _byNamespace);
        set => Volatile.Write(ref _byNamespace, value);
    }

    /// <summary>Publishes the peer namespaces of all interfaces that there are. Called by the watcher of interfaces, and once before it starts.</summary>
    internal void PublishPeers(IEnumerable<LinkIdentity> interfaces) =>
        PeerNamespaces = interfaces.Select(link => link.PeerNamespace).Where(number => number != 0).ToFrozenSet();
}
