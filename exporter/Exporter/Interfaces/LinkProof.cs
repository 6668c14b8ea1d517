using Exporter.Bpf.Netlink;

namespace Exporter.Interfaces;

/// <summary>Whether an interface is the one that a previous process has counted.</summary>
internal enum LinkProof
{
    /// <summary>It is.</summary>
    Same,

    /// <summary>It is another one, made since. The previous one is gone, and its programs with it: what they counted is its pod's.</summary>
    Another,

    /// <summary>It is, but its other end is in another namespace now: counts since then may be of either pod.</summary>
    Moved,

    /// <summary>Nothing says so: it may be the same or another.</summary>
    Unproven,
}

/// <summary>How it is found out.</summary>
internal static class LinkProofs
{
    /// <param name="before">The interface of this index as the previous process knew it.</param>
    /// <param name="link">As it is now.</param>
    /// <param name="hasCookies">Whether a namespace's number never comes back.</param>
    internal static LinkProof Find(Link before, LinkIdentity identityBefore, Link link, LinkIdentity identity, bool hasCookies)
    {
        var isBirthKnown = identity.Birth != 0 && identityBefore.Birth != 0;
        var isNamespaceKnown = identity.PeerNamespace != 0 && identityBefore.PeerNamespace != 0;
        if (isBirthKnown && identity.Birth != identityBefore.Birth)
        {
            return LinkProof.Another;
        }
        if (isNamespaceKnown && identity.PeerNamespace != identityBefore.PeerNamespace)
        {
            return LinkProof.Moved;
        }
        if (isBirthKnown)
        {
            // Without the namespaces' numbers all that is left are ids, which come back.
            return isNamespaceKnown || link.IsPeerNamespaceGoing || (before.PeerNamespaceId, before.PeerIfindex) == (link.PeerNamespaceId, link.PeerIfindex)
                ? LinkProof.Same
                : LinkProof.Moved;
        }
        return hasCookies && isNamespaceKnown && before.PeerIfindex == link.PeerIfindex ? LinkProof.Same : LinkProof.Unproven;
    }
}
