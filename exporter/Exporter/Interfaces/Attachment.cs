using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Pods;
using Exporter.Signals;

namespace Exporter.Interfaces;

/// <summary>The two programs of one interface, and how attaching them goes. For the reconciler alone.</summary>
internal sealed class Attachment(PodInterface owner, TimeProvider time)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);

    private readonly Retry _retry = new(FirstRetry, LongestRetry, time);

    internal PodInterface Owner => owner;

    internal InterfaceState State
    {
        get => owner.State;
        set => owner.State = value;
    }

    internal AddressLookup Addresses { get; } = new(owner, time);

    /// <summary>A look-up of its addresses that fails. It is logged once for an interface, also if later ones succeed.</summary>
    internal Trouble AddressTrouble { get; } = new();

    /// <summary>Whether its owner is published, so that rows of its index find it.</summary>
    internal bool IsPrepared { get; set; }

    /// <summary>The handles that keep the programs attached; null where they are not yet.</summary>
    internal TcAttachment? Ingress { get; private set; }

    internal TcAttachment? Egress { get; private set; }

    internal IEnumerable<TcAttachment> Handles => new[] { Ingress, Egress }.OfType<TcAttachment>();

    /// <summary>Which of the two is to be attached.</summary>
    internal TcDirection Next => Ingress is null ? TcDirection.Ingress : TcDirection.Egress;

    internal long ClosedAt { get; set; }

    /// <summary>The drains that had begun when programs were detached that are to be attached again; null where they are attached, or never were.</summary>
    internal DrainMark? DetachedAt { get; set; }

    /// <summary>The drains after which what it carried is with its pod.</summary>
    internal DrainMark Mark { get; set; }

    /// <summary>Whether it is to be attached, now.</summary>
    internal bool IsDue => Egress is null && _retry.IsDue;

    /// <summary>Takes over the first, and then the second.</summary>
    internal void Add(TcAttachment handle)
    {
        if (Ingress is null)
        {
            Ingress = handle;
            return;
        }
        Egress = handle;
        DetachedAt = null;
        _retry.Reset();
        State = InterfaceState.Attached;
    }

    internal void Failed()
    {
        State = InterfaceState.Failed;
        RetryLater();
    }

    internal void RetryLater() => _retry.Later();

    /// <summary>Takes its attachments from it.</summary>
    internal IReadOnlyList<TcAttachment> TakeHandles()
    {
        TcAttachment[] handles = [.. Handles];
        (Ingress, Egress) = (null, null);
        State = InterfaceState.Pending;
        return handles;
    }
}
