using System.Net;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Pods;

namespace Exporter.Interfaces;

/// <summary>
/// Finds the addresses in an interface's peer namespace. Without CAP_NET_BROADCAST the kernel sends no events of addresses in other namespaces, so it
/// is asked: often at first, since an interface gets its address within milliseconds, and then ever less.
/// </summary>
internal sealed class AddressLookup(PodInterface owner, TimeProvider time)
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>A pod that lives for a moment, after its interface was there for some seconds, must not live between two looks.</summary>
    private static readonly TimeSpan LongestWithoutAny = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan Youth = TimeSpan.FromSeconds(30);

    private readonly Backoff _pauses = new(First, Longest);
    private TimeSpan _pause;
    private long _lookedAt;

    /// <summary>How long until the next look; null where none is needed.</summary>
    internal TimeSpan? Due =>
        owner.GoneAt is not null || (_pause == Longest && owner is { Pod: not null, Addresses.Count: > 0 })
            ? null
            : _pause - time.GetElapsedTime(_lookedAt) is { Ticks: > 0 } rest ? rest : TimeSpan.Zero;

    /// <param name="now">Whether there is reason to, before it is due: an address that is not known yet may be wanted.</param>
    /// <exception cref="NetlinkException">The kernel refused.</exception>
    internal void Look(LinkClient client, bool now)
    {
        var isDue = Due == TimeSpan.Zero || (now && owner is { GoneAt: null, Addresses.Count: 0 });
        if (!isDue || owner.Link.PeerNamespaceId is not { } namespaceId)
        {
            return;
        }
        _lookedAt = time.GetTimestamp();
        try
        {
            Look(client, namespaceId);
        }
        finally
        {
            _pause = _pauses.Next();
            if (owner.Addresses.Count == 0 && _pause > LongestWithoutAny && time.GetUtcNow() - owner.SeenAt < Youth)
            {
                _pause = LongestWithoutAny;
            }
        }
    }

    /// <summary>Whether an address says anything of whose it is.</summary>
    private static bool IsTelling(IPAddress address) => !IPAddress.IsLoopback(address) && !address.IsIPv6LinkLocal;

    /// <summary>The addresses of a namespace, and the part of them as <see cref="PodInterface.InnerAddresses"/> has it.</summary>
    /// <param name="end">The pair's own end there.</param>
    internal static (IReadOnlyList<IPAddress> All, IReadOnlyList<IPAddress> Inner) Sort(IEnumerable<LinkAddress> found, int end)
    {
        var useful = found.Where(each => IsTelling(each.Address)).ToList();
        var own = useful.Where(each => each.Ifindex == end).Select(each => each.Address).ToHashSet();
        List<IPAddress> all = [.. useful.Select(each => each.Address)];
        return (all, own.Count == 0 ? [] : all.FindAll(address => !own.Contains(address)));
    }

    private void Look(LinkClient client, int namespaceId)
    {
        var askedAt = time.GetUtcNow();
        var (addresses, inner) = Sort(client.GetAddresses(namespaceId), owner.Link.PeerIfindex);
        if (addresses.Count == 0 && owner.AddressedAt is null)
        {
            owner.WithoutAddressesAt = askedAt;
        }
        // The id may have gone to another namespace meanwhile, but not while the interface leads there.
        else if (!(addresses.SequenceEqual(owner.Addresses) && inner.SequenceEqual(owner.InnerAddresses)) && client.GetLink(owner.Ifindex) is { } link && link.PeerNamespaceId == namespaceId && link.HardwareAddress == owner.Link.HardwareAddress)
        {
            if (owner.AddressedAt is null)
            {
                (owner.AddressedAt, owner.AddressedStamp) = (time.GetUtcNow(), time.GetTimestamp());
            }
            (owner.InnerAddresses, owner.Addresses) = (inner, addresses);
            // One seldom comes alone.
            _pauses.Reset();
        }
    }
}
