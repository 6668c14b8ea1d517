using System.Collections.Immutable;
using Exporter.Bpf.Netlink;

namespace Exporter.Interfaces;

/// <summary>An interface during one life of its index.</summary>
/// <param name="Generation">Greater than the generation of every interface seen before.</param>
/// <param name="IsNew">It came while the exporter runs, as an event reported, or since a previous process has ended, whose interfaces are
/// known.</param>
/// <param name="SeenAt">When it was first seen; it is not younger than that.</param>
/// <param name="BornAfter">It was not there before that time; null if it was there when the first list was made.</param>
internal sealed record TrackedLink(Link Link, long Generation, bool IsNew, DateTimeOffset SeenAt, DateTimeOffset? BornAfter = null)
{
    internal LinkIdentity Identity { get; init; }
}

/// <summary>The interfaces as events and lists report them. Written by one thread; readers take <see cref="Current"/> once.</summary>
/// <param name="generations">Outlives the table: another continues after the last generation of this one.</param>
internal sealed class LinkTable(TimeProvider time, LinkGenerations generations)
{
    private ImmutableDictionary<int, TrackedLink> _current = ImmutableDictionary<int, TrackedLink>.Empty;
    private bool _isRestored;

    /// <summary>When the table was last known to be complete; null before the first list.</summary>
    private DateTimeOffset? _completeAt;

    internal ImmutableDictionary<int, TrackedLink> Current => Volatile.Read(ref _current);

    /// <summary>Before the first list: the interfaces that a previous process knew. One that is not among them has come since.</summary>
    /// <param name="last">The greatest generation that it has given.</param>
    internal void Restore(IReadOnlyList<TrackedLink> links, long last = 0)
    {
        _isRestored = true;
        generations.Continue(links.Select(link => link.Generation).Append(last).Max());
        Volatile.Write(ref _current, links.OrderBy(link => link.Generation).GroupBy(link => link.Link.Ifindex).ToImmutableDictionary(same => same.Key, same => same.Last()));
    }

    /// <summary>An interface is new, or has changed. One whose other end is in another namespace now is another.</summary>
    internal void Set(Link link, LinkIdentity identity = default)
    {
        var now = time.GetUtcNow();
        TrackedLink tracked;
        if (!_current.TryGetValue(link.Ifindex, out var known))
        {
            tracked = new(link, generations.Next(), IsNew: true, now, now) { Identity = identity };
        }
        else if (identity.Contradicts(known.Identity) || HasLeft(known, link, identity))
        {
            var isMade = identity.Birth != 0 && known.Identity.Birth != 0 && identity.Birth != known.Identity.Birth;
            tracked = new(link, generations.Next(), isMade, now, now) { Identity = identity };
        }
        else
        {
            tracked = known with { Link = Complete(known, link), Identity = identity.Or(known.Identity) };
        }
        Volatile.Write(ref _current, _current.SetItem(link.Ifindex, tracked));
        _completeAt = _completeAt is null ? null : now;
    }

    /// <summary>Takes an interface out. Returns the other end of its pair where that is in this namespace as well.</summary>
    internal Link? Remove(int ifindex)
    {
        var removed = _current.GetValueOrDefault(ifindex)?.Link;
        Volatile.Write(ref _current, _current.Remove(ifindex));
        // Asked of the others, since the end of a pair that is made first does not know its peer when it is announced.
        return removed is { PeerNamespaceId: null, IsPeerNamespaceGoing: false }
            ? _current.Values.FirstOrDefault(other => other.Link.PeerIfindex == ifindex && other.Link is { PeerNamespaceId: null, IsPeerNamespaceGoing: false })?.Link
            : null;
    }

    /// <summary>
    /// Replaces everything by what a list says, after events were missed. An interface keeps its generation if nothing shows
    /// that another one has taken its index meanwhile.
    /// </summary>
    internal void Reset(IEnumerable<Link> links) => Reset(links.Select(link => (link, default(LinkIdentity))));

    /// <summary>The same, with what the interfaces are known by.</summary>
    internal void Reset(IEnumerable<(Link Link, LinkIdentity Identity)> links)
    {
        var table = ImmutableDictionary.CreateBuilder<int, TrackedLink>();
        var now = time.GetUtcNow();
        foreach (var (link, identity) in links)
        {
            table[link.Ifindex] = _current.TryGetValue(link.Ifindex, out var known) && IsSame(known, link, identity)
                ? known with { Link = Complete(known, link), Identity = identity.Or(known.Identity) }
                : new(link, generations.Next(), IsNew: _isRestored, now, _completeAt) { Identity = identity };
        }
        _isRestored = false;
        _completeAt = now;
        Volatile.Write(ref _current, table.ToImmutable());
    }

    /// <summary>
    /// Its birth proves that it is the same. Where that is not known, a name is changed often enough, and whatever else differs after events
    /// were missed, such as the hardware address, may be another interface: taking the same one for another only attaches it again.
    /// </summary>
    private static bool IsSame(TrackedLink known, Link link, LinkIdentity identity)
    {
        if (identity.Contradicts(known.Identity) || HasLeft(known, link, identity))
        {
            return false;
        }
        return identity.Birth != 0 && known.Identity.Birth != 0 ? true : known.Link with { Name = link.Name } == Complete(known, link);
    }

    /// <summary>Whether its other end has moved from the namespace where it was, as far as ids show it, which come back.</summary>
    private static bool HasLeft(TrackedLink known, Link link, LinkIdentity identity) =>
        known.Link.PeerNamespaceId is { } before
        && !link.IsPeerNamespaceGoing
        && link.PeerNamespaceId != before
        && (identity.PeerNamespace == 0 || known.Identity.PeerNamespace == 0);

    /// <summary>A namespace that is going away has lost its id, and its interfaces go with it in a moment.</summary>
    private static Link Complete(TrackedLink known, Link link) =>
        link.IsPeerNamespaceGoing ? link with { PeerNamespaceId = known.Link.PeerNamespaceId, IsPeerNamespaceGoing = known.Link.PeerNamespaceId is null } : link;
}
