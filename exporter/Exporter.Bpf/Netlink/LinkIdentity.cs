namespace Exporter.Bpf.Netlink;

/// <summary>
/// Values by which an interface differs from another one that has its index, name, hardware address, peer index and namespace id, all of which come
/// back.
/// </summary>
/// <param name="PeerNamespace">The other end's network namespace, by the number that the BPF programs know it by; 0 where it is not known.</param>
/// <param name="Birth">Given to the interface when it is made, and to no other until the machine stops; 0 where it is not known.</param>
public readonly record struct LinkIdentity(ulong PeerNamespace, ulong Birth)
{
    /// <summary>Takes unknown values from the identity before.</summary>
    public LinkIdentity Or(in LinkIdentity known) =>
        new(PeerNamespace == 0 ? known.PeerNamespace : PeerNamespace, Birth == 0 ? known.Birth : Birth);

    /// <summary>Whether something shows that these are two.</summary>
    public bool Contradicts(in LinkIdentity other) =>
        (Birth != 0 && other.Birth != 0 && Birth != other.Birth)
        || (PeerNamespace != 0 && other.PeerNamespace != 0 && PeerNamespace != other.PeerNamespace);
}
