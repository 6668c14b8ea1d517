using System.Collections.Immutable;
using Exporter.Bpf.Netlink;

namespace Exporter.Discovery;

/// <summary>An interface during one life of its index.</summary>
/// <param name="Generation">Greater than that of every interface seen before.</param>
/// <param name="IsNew">It came while the exporter runs, as an event told, or since a former process has ended, whose interfaces are known.</param>
/// <param name="SeenAt">When it was first seen; it is not younger than that.</param>
/// <param name="BornAfter">It was not there before that time; null if it was there when the first list was made.</param>
internal sealed record TrackedLink(Link Link, long Generation, bool IsNew, DateTimeOffset SeenAt, DateTimeOffset? BornAfter = null);

/// <summary>The interfaces as events and lists tell of them. Written by one thread; readers take <see cref="Current"/> once.</summary>
internal sealed class LinkTable(TimeProvider time)
{
    private ImmutableDictionary<int, TrackedLink> _current = ImmutableDictionary<int, TrackedLink>.Empty;
    private long _generation;
    private bool _isRestored;

    /// <summary>When the table was last known to be complete; null before the first list.</summary>
    private DateTimeOffset? _completeAt;

    internal ImmutableDictionary<int, TrackedLink> Current => Volatile.Read(ref _current);

    /// <summary>Before the first list: the interfaces that a former process knew. One that is not among them has come since.</summary>
    internal void Restore(IReadOnlyList<TrackedLink> links)
    {
        _isRestored = true;
        _generation = links.Max(link => link.Generation);
        Volatile.Write(ref _current, links.OrderBy(link => link.Generation).GroupBy(link => link.Link.Ifindex).ToImmutableDictionary(same => same.Key, same => same.Last()));
    }

    internal void Set(Link link)
    {
        var now = time.GetUtcNow();
        Volatile.Write(ref _current, _current.SetItem(
            link.Ifindex,
            _current.TryGetValue(link.Ifindex, out var known) ? known with { Link = link } : new(link, ++_generation, IsNew: true, now, now)));
        _completeAt = _completeAt is null ? null : now;
    }

    /// <summary>Takes an interface out. Returns the other end of its pair where that is in this namespace as well.</summary>
    internal Link? Remove(int ifindex)
    {
        var removed = _current.GetValueOrDefault(ifindex)?.Link;
        Volatile.Write(ref _current, _current.Remove(ifindex));
        // Asked of the others, since the end of a pair that is made first does not know its peer when it is announced.
        return removed is { PeerNamespaceId: null }
            ? _current.Values.FirstOrDefault(other => other.Link.PeerIfindex == ifindex && other.Link.PeerNamespaceId is null)?.Link
            : null;
    }

    /// <summary>
    /// Replaces everything by what a list says, after events were missed. An interface keeps its generation if nothing shows
    /// that another one has taken its index meanwhile.
    /// </summary>
    internal void Reset(IEnumerable<Link> links)
    {
        var table = ImmutableDictionary.CreateBuilder<int, TrackedLink>();
        var now = time.GetUtcNow();
        foreach (var link in links)
        {
            table[link.Ifindex] = _current.TryGetValue(link.Ifindex, out var known) && IsSame(known.Link, link)
                ? known with { Link = link }
                : new(link, ++_generation, IsNew: _isRestored, now, _completeAt);
        }
        _isRestored = false;
        _completeAt = now;
        Volatile.Write(ref _current, table.ToImmutable());
    }

    /// <summary>
    /// A name is changed often enough. Whatever else differs after events were missed, such as the hardware address, may be another
    /// interface: taking the same one for another only attaches it anew.
    /// </summary>
    private static bool IsSame(Link left, Link right) => left with { Name = right.Name } == right;
}
