using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Pods;

namespace Exporter.Interfaces;

/// <summary>
/// Continues with the interfaces that a previous process, or the previous session of this one, has counted: their owners before anything is drained, and
/// their programs before anything else is attached. For the reconciler alone.
/// </summary>
internal sealed partial class Adoption(InterfaceContext context, InterfaceRecords records, Attachments attachments, Departures departures, PinCheck pinCheck, ILogger logger)
{
    /// <summary>Interfaces that were counted before, until the first round.</summary>
    private readonly List<PodInterface> _restored = [];

    /// <summary>Problems that keep programs from being taken over, in the order in which they were found.</summary>
    private readonly List<Exception> _problems = [];

    private IEnumerator<TcAttachment>? _left;

    /// <summary>Whether programs are found by their pins; else the previous reconciler of this process has handed them on.</summary>
    private bool _isFromPins;

    /// <summary>Whether all programs are taken over.</summary>
    internal bool HasEnded { get; private set; }

    /// <summary>Interfaces that were counted before, and that no attachment has yet.</summary>
    internal IReadOnlyList<PodInterface> Restored => _restored;

    /// <summary>
    /// Knows again the interfaces that were counted before, also those that are gone by now. Called before anything is
    /// drained: counts from meanwhile find their owner.
    /// </summary>
    internal void Restore()
    {
        var links = context.Client.GetLinks().Select(link => (Link: link, Identity: context.Identifier?.Identify(link) ?? default)).ToDictionary(entry => entry.Link.Ifindex);
        // Before the first drain, too: handshakes that come before their interface is published are held.
        context.Table.PublishPeers(links.Values.Select(link => link.Identity));
        var restored = records.Restore();
        if (restored.Count > 0)
        {
            Restore(restored, links);
            LogRestored(logger, restored.Count);
        }
        // A source that lives on knows the interfaces by the objects of the previous session, which nothing brings up to date any more.
        context.Pods.Resume(_restored);
        foreach (var drain in context.Rounds.Drains)
        {
            drain.Restore(_restored);
        }
    }

    /// <summary>Until all is taken over, an interface that was there before may have programs already.</summary>
    internal bool MayAttach(TrackedLink link) => HasEnded || (link.IsNew && !_restored.Exists(owner => owner.Ifindex == link.Link.Ifindex));

    /// <summary>Takes over some of the programs that are attached; the programs of this process take the place of the previous ones.</summary>
    internal void TakeSome()
    {
        if (_left is null)
        {
            var left = context.Attacher.TakeLeft();
            _isFromPins = left is null;
            _left = (left ?? context.Attacher.Adopt(_problems)).GetEnumerator();
        }
        try
        {
            var started = context.Time.GetTimestamp();
            while (context.Time.GetElapsedTime(started) < ReconcileRound.Slice)
            {
                if (!_left.MoveNext())
                {
                    End();
                    return;
                }
                attachments.Adopt(_left.Current);
            }
        }
        catch
        {
            // Pins can be read again.
            _left = null;
            throw;
        }
    }

    /// <summary>Hands programs to the next reconciler of this process; the next process finds pinned ones.</summary>
    internal void Leave()
    {
        while (_left is not null && !_isFromPins && _left.MoveNext())
        {
            attachments.Adopt(_left.Current);
        }
        // Pins that were not all taken over are there for the next reconciler to take over.
        if (HasEnded || !_isFromPins)
        {
            List<TcAttachment> left = [.. attachments.Handles, .. departures.Handles, .. attachments.Adopted.Values];
            if (left.Count > 0 || HasEnded)
            {
                context.Attacher.Leave(left);
            }
        }
    }

    /// <param name="restored">Oldest first.</param>
    private void Restore(IReadOnlyList<PodInterface> restored, Dictionary<int, (Link Link, LinkIdentity Identity)> links)
    {
        foreach (var owner in restored)
        {
            owner.Counts = owner.Pod is { } pod ? context.Accounts.Acquire(pod) : null;
        }
        var proven = FindProven(restored, links);
        context.Watcher.Links.Restore([.. proven.Values], restored[^1].Generation);
        // A number that may have come back is not taken for a namespace's unless the interface is known to be the same.
        var located = restored.Where(owner => owner.Identity.PeerNamespace != 0 && (context.HasCookies || proven.ContainsKey(owner))).ToList();
        foreach (var same in located.GroupBy(owner => owner.Identity.PeerNamespace))
        {
            var first = same.First();
            foreach (var owner in same.Skip(1))
            {
                owner.Sibling = first;
            }
        }
        _restored.AddRange(restored.OrderBy(owner => proven.ContainsKey(owner) ? 1 : 0).ThenByDescending(owner => owner.Generation));
        context.Namespaces?.Publish(_restored.Where(located.Contains));
    }

    /// <summary>The interfaces that are certainly the same as now.</summary>
    private Dictionary<PodInterface, TrackedLink> FindProven(IReadOnlyList<PodInterface> restored, Dictionary<int, (Link Link, LinkIdentity Identity)> links)
    {
        var (proven, table) = (new Dictionary<PodInterface, TrackedLink>(), context.Table);
        // Of two that had the index, the older was gone, and everything in the maps is of the newer.
        foreach (var owner in restored.GroupBy(owner => owner.Ifindex).Select(same => same.Last()))
        {
            var isThere = links.TryGetValue(owner.Ifindex, out var now);
            var proof = isThere ? LinkProofs.Find(owner.Link, owner.Identity, now.Link, now.Identity, context.HasCookies) : LinkProof.Another;
            switch (proof)
            {
                case LinkProof.Same:
                    owner.Identity = now.Identity.Or(owner.Identity);
                    proven[owner] = new(now.Link, owner.Generation, IsNew: false, owner.SeenAt, owner.BornAfter) { Identity = owner.Identity };
                    table.Current = table.Current.SetItem(owner.Ifindex, owner);
                    break;
                case LinkProof.Another:
                    table.Current = table.Current.SetItem(owner.Ifindex, owner);
                    break;
                default:
                    // Rows without an owner are unattributed, which is better than on a wrong pod.
                    attachments.WithUnknownPast.Add(owner.Ifindex);
                    context.Metrics.UnprovenInterfaces.Inc();
                    LogUnproven(logger, owner.Name);
                    break;
            }
        }
        return proven;
    }

    /// <summary>Gives interfaces that were counted before their programs again, and removes all other programs that were left.</summary>
    private void End()
    {
        _problems.ForEach(pinCheck.OnDetachFailed);
        foreach (var drain in context.Rounds.Drains)
        {
            drain.EndPrevious();
        }
        var links = context.Watcher.Links.Current;
        foreach (var owner in _restored)
        {
            var attachment = new Attachment(owner, context.Time) { IsPrepared = true };
            var isThere = links.TryGetValue(owner.Ifindex, out var link) && link.Generation == owner.Generation;
            if (isThere)
            {
                owner.Link = link!.Link;
                while (attachment.Egress is null && attachments.Adopted.Remove((owner.Ifindex, attachment.Next), out var handle))
                {
                    attachment.Add(handle);
                }
            }
            if (attachment.Egress is null)
            {
                // Another process has removed them; their counts are still to be read.
                attachment.DetachedAt = default(Signals.DrainMark);
            }
            if (isThere && context.Options.IsPodInterface(owner.Link))
            {
                attachments.Add(attachment);
                records.Save(owner);
            }
            else
            {
                // It is gone, or is not to be counted any more.
                attachments.Close(attachment);
            }
        }
        _restored.Clear();
        foreach (var (key, handle) in attachments.Adopted.Where(entry => !links.TryGetValue(entry.Key.Ifindex, out var link) || !context.Options.IsPodInterface(link.Link)).ToList())
        {
            departures.Add(handle);
            attachments.Adopted.Remove(key);
        }
        HasEnded = true;
    }

    [LoggerMessage(12, LogLevel.Information, "Resumed {Count} interfaces from the previous process")]
    private static partial void LogRestored(ILogger logger, int count);

    [LoggerMessage(100, LogLevel.Warning, "Nothing proves that {Interface} is the one that was counted before: it is taken for another, and what it has carried meanwhile is unattributed")]
    private static partial void LogUnproven(ILogger logger, string @interface);
}
