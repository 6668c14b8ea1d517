namespace Exporter.Peers;

/// <summary>An address and the objects that name it, in their order.</summary>
internal readonly record struct PeerEntry(UInt128 Address, PeerSource[] Sources);

/// <summary>
/// Who has an address: one moment of <see cref="PeerStore"/>. Immutable, and so read without locks; look-ups allocate nothing. Pods of this node are not
/// in it: the caller asks for them first.
/// </summary>
internal sealed class PeerTable
{
    /// <summary>A power of two. Two successive tables share the buckets that did not change between them.</summary>
    internal const int Buckets = 4096;

    private const int BucketBits = 12;

    private readonly PeerEntry[][] _buckets;

    /// <param name="buckets">Each in the order of addresses; <see cref="BucketOf"/> says which address is where. The table's from now on.</param>
    internal PeerTable(PeerEntry[][] buckets, PeerClasses classes) => (_buckets, Classes) = (buckets, classes);

    internal PeerClasses Classes { get; }

    /// <summary>A table that knows classes alone, as without Kubernetes.</summary>
    internal static PeerTable Of(PeerClasses classes) => new(EmptyBuckets(), classes);

    internal static PeerEntry[][] EmptyBuckets()
    {
        var buckets = new PeerEntry[Buckets][];
        Array.Fill(buckets, []);
        return buckets;
    }

    internal static int BucketOf(UInt128 address)
    {
        // Fibonacci hashing: the upper bits depend on all bits.
        var mixed = ((ulong)(address >> 64) * 0xff51afd7ed558ccd) + (ulong)address;
        return (int)((mixed * 0x9e3779b97f4a7c15) >> (64 - BucketBits));
    }

    /// <summary>The index of an address in a bucket, or the complement of the index at which it would be.</summary>
    internal static int IndexIn(ReadOnlySpan<PeerEntry> bucket, UInt128 address)
    {
        var (from, to) = (0, bucket.Length);
        while (from < to)
        {
            var middle = (from + to) >>> 1;
            if (bucket[middle].Address == address)
            {
                return middle;
            }
            (from, to) = bucket[middle].Address < address ? (middle + 1, to) : (from, middle);
        }
        return ~from;
    }

    /// <summary>
    /// Finds who has an address: the Service that has it as its own address with this port; else the Service that has it as a backend's address, of
    /// several the one with this port, else the first by namespace and name; else the node; else its class. Of a node's address a Service has only
    /// its ports: a backend in the host's network does not make the node's other traffic the Service's. A node that has all Services' own addresses, as IPVS
    /// wants it, does not make them its own.
    /// </summary>
    /// <param name="address">4 or 16 bytes in the order of the network.</param>
    /// <param name="protocol">IANA's number.</param>
    /// <param name="ownNode">The name of the node that is seen to have the address, whatever the API server says; null: none is.</param>
    internal Peer Find(ReadOnlySpan<byte> address, ushort port, byte protocol, string? ownNode = null)
    {
        var key = PeerAddress.Key(address);
        PeerSource? service = null;
        string? node = null;
        var (best, wanted, any) = (0, PeerSource.Port(port, protocol), PeerSource.Port(0, protocol));
        foreach (var source in SourcesOf(key))
        {
            switch (source.Role)
            {
                case PeerRole.Vip when source.Has(wanted):
                    return new(PeerKind.Service, source.Namespace, source.Name, Peer.ServiceClass, IsVip: true);
                case PeerRole.Vip:
                    ownNode = null;
                    break;
                case PeerRole.Node:
                    node ??= source.Name;
                    break;
                case PeerRole.Endpoint:
                    var match = source.Has(wanted) ? 3 : source.Has(any) ? 2 : 1;
                    if (match > best)
                    {
                        (service, best) = (source, match);
                    }
                    break;
            }
        }
        node ??= ownNode;
        var ofAddress = node is null ? Classes.Find(key) : Peer.NodeClass;
        return service is not null && (node is null || best > 1)
            ? new(PeerKind.Service, service.Namespace, service.Name, ofAddress, IsVip: false)
            : node is not null ? new(PeerKind.Node, "", node, ofAddress, IsVip: false) : new(PeerKind.Class, "", ofAddress, ofAddress, IsVip: false);
    }

    /// <summary>Whether a Service or one of its backends serves this port at this address. A backend that serves all ports does not show which end serves.</summary>
    /// <inheritdoc cref="Find" path="/param"/>
    internal bool IsServerPort(ReadOnlySpan<byte> address, ushort port, byte protocol)
    {
        var wanted = PeerSource.Port(port, protocol);
        foreach (var source in port == 0 ? [] : SourcesOf(PeerAddress.Key(address)))
        {
            if (source.Has(wanted))
            {
                return true;
            }
        }
        return false;
    }

    private ReadOnlySpan<PeerSource> SourcesOf(UInt128 address)
    {
        var bucket = _buckets[BucketOf(address)];
        return IndexIn(bucket, address) is >= 0 and var index ? bucket[index].Sources : [];
    }
}
