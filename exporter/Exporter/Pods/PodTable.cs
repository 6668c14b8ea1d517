using System.Collections.Immutable;
using Exporter.Metrics;

namespace Exporter.Pods;

/// <summary>
/// An interface that is counted, during one life of its index. The generation tells apart owners of an index that came back.
/// </summary>
internal sealed class PodInterface(int ifindex, long generation, string name)
{
    private PodSeries? _series;

    internal int Ifindex => ifindex;

    internal long Generation => generation;

    internal string Name => name;

    /// <summary>Where its traffic goes; null until it is known whose it is. Set once, by the reconciler.</summary>
    internal PodSeries? Series
    {
        get => Volatile.Read(ref _series);
        set => Volatile.Write(ref _series, value);
    }

    /// <summary>What was counted on it so far.</summary>
    internal InterfaceTotals Totals { get; } = new();
}

/// <summary>
/// What was counted on one interface, in packets from the pod's point of view. Written by the drain, read by anybody: a
/// reader may see one drain's numbers half added, and sees them whole the next time.
/// </summary>
internal sealed class InterfaceTotals
{
    private ulong _transmitted;
    private ulong _received;

    internal ulong Transmitted => Volatile.Read(ref _transmitted);

    internal ulong Received => Volatile.Read(ref _received);

    internal void Add(ulong transmitted, ulong received)
    {
        Volatile.Write(ref _transmitted, _transmitted + transmitted);
        Volatile.Write(ref _received, _received + received);
    }
}

/// <summary>
/// The interfaces that are counted now, by index. The reconciler publishes a new table with every change; readers take
/// <see cref="Current"/> once and work on that.
/// </summary>
internal sealed class PodTable
{
    private ImmutableDictionary<int, PodInterface> _current = ImmutableDictionary<int, PodInterface>.Empty;
    private ImmutableDictionary<ulong, PodInterface> _networks = ImmutableDictionary<ulong, PodInterface>.Empty;

    internal ImmutableDictionary<int, PodInterface> Current
    {
        get => Volatile.Read(ref _current);
        set => Volatile.Write(ref _current, value);
    }

    /// <summary>One interface of each network namespace that is known, by the number that the BPF programs know it by.</summary>
    internal ImmutableDictionary<ulong, PodInterface> Networks
    {
        get => Volatile.Read(ref _networks);
        set => Volatile.Write(ref _networks, value);
    }
}
