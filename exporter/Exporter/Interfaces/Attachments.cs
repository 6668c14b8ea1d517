using System.Collections.Immutable;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Metrics;
using Exporter.Pods;

namespace Exporter.Interfaces;

/// <summary>The interfaces that are counted, and those that are to be. For the reconciler alone.</summary>
internal sealed partial class Attachments(InterfaceContext context, InterfaceRecords records, Attribution attribution, Departures departures, PinCheck pinCheck, ILogger logger)
{
    private readonly Dictionary<int, Attachment> _attachments = [];

    internal IReadOnlyCollection<Attachment> All => _attachments.Values;

    /// <summary>Attachments whose owner is published.</summary>
    internal IEnumerable<Attachment> Prepared => _attachments.Values.Where(attachment => attachment.IsPrepared);

    internal IEnumerable<TcAttachment> Handles => _attachments.Values.SelectMany(attachment => attachment.Handles);

    /// <summary>Programs that a previous process, or session, has attached, and that no interface was given yet.</summary>
    internal Dictionary<(int Ifindex, TcDirection Direction), TcAttachment> Adopted { get; } = [];

    /// <summary>Indexes of interfaces of which it is not known whose packets they have carried before.</summary>
    internal HashSet<int> WithUnknownPast { get; } = [];

    /// <summary>Keeps a program that is attached until an interface is given it.</summary>
    internal void Adopt(TcAttachment handle) => Adopted[(handle.Ifindex, handle.Direction)] = handle;

    /// <summary>An interface that a previous process has counted.</summary>
    internal void Add(Attachment attachment) => _attachments[attachment.Owner.Ifindex] = attachment;

    /// <summary>The interface is not to be counted any more.</summary>
    internal void Close(Attachment attachment)
    {
        if (_attachments.GetValueOrDefault(attachment.Owner.Ifindex) == attachment)
        {
            _attachments.Remove(attachment.Owner.Ifindex);
        }
        departures.Add(attachment);
    }

    /// <summary>
    /// The newest first: they have everything still to come, and a backlog of old ones can take long, since every tcx link
    /// waits for an RCU grace period. Between two of them the table is looked at again.
    /// </summary>
    /// <param name="mayAttach">Whether an interface may be attached to already.</param>
    /// <returns>How many are left.</returns>
    internal int AttachNew(Func<TrackedLink, bool> mayAttach, CancellationToken stoppingToken)
    {
        var started = context.Time.GetTimestamp();
        var links = context.Watcher.Links.Current;
        CloseGone(links);
        var wanted = FindUnattached(links, mayAttach);
        if (wanted.Count > 0)
        {
            attribution.TryRefresh();
        }
        while (wanted.TryPeek(out var link) && !stoppingToken.IsCancellationRequested && context.Time.GetElapsedTime(started) < ReconcileRound.Slice)
        {
            if (!TryAttach(link) || !IsUnattached(link))
            {
                wanted.Pop();
            }
            if (wanted.Count > 0)
            {
                context.Attacher.LetOthersLock();
            }
            if (context.Watcher.Links.Current != links)
            {
                links = context.Watcher.Links.Current;
                CloseGone(links);
                wanted = FindUnattached(links, mayAttach);
                attribution.TryRefresh();
            }
        }
        return wanted.Count;
    }

    /// <summary>Another process has removed its programs: they are attached again after the next drain.</summary>
    internal void Reattach(Attachment attachment)
    {
        foreach (var handle in attachment.TakeHandles())
        {
            departures.Add(handle);
        }
        departures.TryDetach(attachment.Owner.Ifindex);
        attachment.DetachedAt = context.Rounds.Now;
    }

    /// <summary>With the newest on top.</summary>
    private Stack<TrackedLink> FindUnattached(ImmutableDictionary<int, TrackedLink> links, Func<TrackedLink, bool> mayAttach) =>
        new(links.Values.Where(link => context.Options.IsPodInterface(link.Link) && IsUnattached(link) && mayAttach(link)).OrderBy(link => link.Generation));

    private bool IsUnattached(TrackedLink link) =>
        !_attachments.TryGetValue(link.Link.Ifindex, out var attachment) || attachment.IsDue;

    private void CloseGone(ImmutableDictionary<int, TrackedLink> links)
    {
        foreach (var attachment in _attachments.Values)
        {
            if (links.TryGetValue(attachment.Owner.Ifindex, out var link)
                && link.Generation == attachment.Owner.Generation
                && context.Options.IsPodInterface(link.Link))
            {
                Update(attachment, link);
            }
            else
            {
                Close(attachment);
            }
        }
    }

    private void Update(Attachment attachment, TrackedLink link)
    {
        var owner = attachment.Owner;
        owner.Link = link.Link;
        var identity = link.Identity.Or(owner.Identity);
        if (identity.PeerNamespace == 0 && context.Identifier is { FindsNamespaces: true } identifier)
        {
            identity = identifier.Identify(link.Link).Or(identity);
        }
        if (identity != owner.Identity)
        {
            owner.Identity = identity;
            if (attachment.IsPrepared)
            {
                records.Save(owner);
            }
        }
    }

    /// <summary>Attaches one of the two programs. Returns whether the next may be tried at once.</summary>
    private bool TryAttach(TrackedLink tracked)
    {
        var link = tracked.Link;
        if (!_attachments.TryGetValue(link.Ifindex, out var attachment))
        {
            _attachments[link.Ifindex] = attachment = new(
                new(link, tracked.Generation, tracked.SeenAt) { BornAfter = tracked.BornAfter, Identity = tracked.Identity }, context.Time);
        }
        try
        {
            if (!attachment.IsPrepared && !TryPrepare(attachment, tracked.IsNew))
            {
                attachment.RetryLater();
                return false;
            }
            return TryAttach(attachment);
        }
        catch (KernelException e)
        {
            context.Metrics.CountAttachError(e.Reason);
            if (attachment.State != InterfaceState.Failed)
            {
                LogAttachFailed(logger, link.Name, e.Message);
            }
            attachment.Failed();
            return false;
        }
    }

    /// <summary>One program at a time: with tcx each waits for a grace period, and a newer interface should not wait for more than one.</summary>
    private bool TryAttach(Attachment attachment)
    {
        var (owner, direction) = (attachment.Owner, attachment.Next);
        if (Adopted.Remove((owner.Ifindex, direction), out var adopted))
        {
            attachment.Add(adopted);
            return true;
        }
        if (attachment.DetachedAt is { } detachedAt && (!departures.TryDetach(owner.Ifindex) || !context.Rounds.TryDrainAfter(detachedAt)))
        {
            attachment.RetryLater();
            return false;
        }
        CountMissed(owner, direction);
        if (context.Attacher.TryAttach(owner.Ifindex, direction) is not { } handle)
        {
            // Gone already; its event is on the way.
            attachment.RetryLater();
            return false;
        }
        if (handle.PinProblem is { } problem)
        {
            pinCheck.OnPinFailed(problem);
        }
        var before = attachment.State;
        attachment.Add(handle);
        records.Save(owner);
        if (before == InterfaceState.Failed && attachment.State == InterfaceState.Attached)
        {
            LogAttachRecovered(logger, owner.Name);
        }
        return true;
    }

    /// <summary>
    /// Finds out all about an interface, and publishes its owner: no row may come whose owner is unknown. Returns whether the
    /// index is free for it.
    /// </summary>
    private bool TryPrepare(Attachment attachment, bool isNew)
    {
        var owner = attachment.Owner;
        var isPastUnknown = WithUnknownPast.Contains(owner.Ifindex);
        if (!departures.TryDetach(owner.Ifindex) || ((isPastUnknown || context.Table.Current.ContainsKey(owner.Ifindex)) && !TryFreeIndex(owner.Ifindex)))
        {
            return false;
        }
        if (isNew && !isPastUnknown)
        {
            owner.Uncounted = new(0, 0);
        }
        owner.Sibling = FindSibling(owner);
        attribution.LookUpAddresses(attachment, now: true);
        records.Save(owner);
        if (attribution.IsCurrent)
        {
            attribution.Identify(attachment);
        }
        context.Table.Current = context.Table.Current.SetItem(owner.Ifindex, owner);
        WithUnknownPast.Remove(owner.Ifindex);
        attachment.IsPrepared = true;
        return true;
    }

    /// <summary>Another interface with the same peer namespace.</summary>
    private PodInterface? FindSibling(PodInterface owner)
    {
        var others = Prepared.Where(attachment => attachment.Owner != owner).Select(attachment => attachment.Owner);
        if (context.HasCookies && owner.Identity.PeerNamespace != 0)
        {
            return others.Where(other => other.Identity.PeerNamespace == owner.Identity.PeerNamespace).MinBy(other => other.Generation);
        }
        var id = owner.Link.PeerNamespaceId;
        var sibling = others.FirstOrDefault(other => other.Link.PeerNamespaceId == id);
        // The id may have come back for another namespace, before the event that the previous one's interface is gone.
        return sibling is not null && context.Client.GetLink(sibling.Ifindex)?.PeerNamespaceId == id ? sibling : null;
    }

    /// <summary>
    /// Counts the packets that an interface has carried since its programs were last there, or since it was made, except while programs are being
    /// attached to it. Called when everything that its programs have counted is read.
    /// </summary>
    private void CountMissed(PodInterface owner, TcDirection direction)
    {
        if (context.Client.GetStatistics(owner.Ifindex) is not { } statistics)
        {
            return;
        }
        var before = owner.Uncounted;
        if (direction == TcDirection.Ingress)
        {
            var now = Difference(statistics.ReceivedPackets, owner.Totals.Transmitted.Packets);
            context.Metrics.AddUnattached(SharedLabels.TransmitDirection, Difference(now, before.Transmitted ?? now));
            owner.Uncounted = before with { Transmitted = now };
        }
        else
        {
            // The programs see the packets that the interface drops itself, too.
            var now = Difference(statistics.TransmittedPackets + statistics.TransmitDropped, owner.Totals.Received.Packets);
            context.Metrics.AddUnattached(SharedLabels.ReceiveDirection, Difference(now, before.Received ?? now));
            owner.Uncounted = before with { Received = now };
        }
    }

    private static ulong Difference(ulong all, ulong part) => all > part ? all - part : 0;

    /// <summary>The index has come back before its previous owner's last drain.</summary>
    private bool TryFreeIndex(int ifindex)
    {
        if (!context.Rounds.TryDrainAfter(context.Rounds.Now))
        {
            return false;
        }
        context.Table.Current = context.Table.Current.Remove(ifindex);
        return true;
    }

    [LoggerMessage(1, LogLevel.Error, "Attaching to {Interface} failed, retrying: {Reason}")]
    private static partial void LogAttachFailed(ILogger logger, string @interface, string reason);

    [LoggerMessage(2, LogLevel.Information, "Attached to {Interface} after earlier failures")]
    private static partial void LogAttachRecovered(ILogger logger, string @interface);
}
