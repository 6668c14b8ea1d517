using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Attach;

/// <summary>A way to have the kernel run the traffic programs on an interface. Used by one thread at a time.</summary>
public abstract class TcAttacher
{
    private IReadOnlyList<TcAttachment>? _left;

    /// <summary>As the option and the metrics spell it.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// Called between two that are attached, or detached, in a row: where each holds the RTNL lock for an RCU grace period, other processes may
    /// wait for it, perhaps to make an interface that should come before the next one. Returns after a moment in which they can take it.
    /// </summary>
    public virtual void LetOthersLock()
    {
    }

    /// <summary>Attaches one of the programs. Whatever others attached stays as it is.</summary>
    /// <returns>Null where the interface is gone.</returns>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public abstract TcAttachment? TryAttach(int ifindex, TcDirection direction);

    /// <summary>
    /// Takes over what an earlier process has left attached, with the programs of this one in the place of its own; what does not belong to
    /// any interface any more is removed. Nothing is missed, and nothing counted twice, meanwhile. Enumerated once; each step takes over one.
    /// </summary>
    /// <param name="problems">One that cannot be taken over or removed is added, and does not keep the others from it.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    /// <exception cref="NetlinkException">The same.</exception>
    public abstract IEnumerable<TcAttachment> Adopt(ICollection<Exception> problems);

    /// <summary>
    /// Removes filters of this pin directory that were not adopted, and filters of processes without pins that have ended
    /// (<see cref="StrayFilters"/>). Called after <see cref="Adopt"/>.
    /// </summary>
    /// <returns>How many were removed.</returns>
    public abstract int RemoveStrays();

    /// <summary>Leaves attachments to the next session in this process.</summary>
    public void Leave(IEnumerable<TcAttachment> attachments) => _left = [.. attachments];

    /// <summary>Takes over the attachments that a previous session left, once; null where there was none.</summary>
    public IReadOnlyList<TcAttachment>? TakeLeft() => Interlocked.Exchange(ref _left, null);

    /// <summary>Ends the renewal of all attachments: releases claims and pins of the previous programs.</summary>
    public virtual void EndRenewal()
    {
    }

    /// <summary>Whether both programs are (still) attached: somebody else may have removed them.</summary>
    public bool IsAttached(int ifindex) => IsAttached(ifindex, TcDirection.Ingress) && IsAttached(ifindex, TcDirection.Egress);

    /// <summary>Whether the program of one direction is (still) attached.</summary>
    public abstract bool IsAttached(int ifindex, TcDirection direction);

    /// <summary>
    /// Removes filters as <see cref="RemoveStrays()"/> does. Filters of earlier versions do not say whose they are: they belong to
    /// the directory that an earlier version has used.
    /// </summary>
    /// <param name="programs">Filters of programs with other names are another attacher's.</param>
    protected static int RemoveStrays(TcClient client, PinDirectory? pins, ProgramPair programs, params IReadOnlyCollection<int> current)
    {
        var isOfEarlierVersion = programs.IsOfEarlierVersions && pins is { IsOfEarlierVersion: true };
        var removed = StrayFilters.Remove(client, pins, programs, unmarkedToo: isOfEarlierVersion, current);
        if (isOfEarlierVersion)
        {
            pins!.IsOfEarlierVersion = false;
        }
        return removed;
    }
}
