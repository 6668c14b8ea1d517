using System.Collections.Immutable;

namespace Exporter.Pods;

/// <summary>
/// Says which pod a network namespace belongs to: the one whose interface leads there. The host's own stands for itself. Used by the
/// reconciler only.
/// </summary>
internal sealed class NamespaceOwners
{
    private readonly PodTable _table;
    private readonly ulong _hostNamespace;
    private readonly PodInterface _host;
    private List<(PodInterface Owner, ulong Namespace)> _owners = [];

    /// <param name="hostNamespace">The host's, by the number that the BPF programs know it by.</param>
    /// <param name="hostCounts">The account of the host's own namespace.</param>
    public NamespaceOwners(PodTable table, ulong hostNamespace, IPodAccount hostCounts)
    {
        (_table, _hostNamespace) = (table, hostNamespace);
        _host = new(new(0, "host", "", 0, 0, null), generation: 0, seenAt: default) { Counts = hostCounts };
        _table.ByNamespace = _table.ByNamespace.SetItem(_hostNamespace, _host);
    }

    /// <summary>Publishes the peer namespaces of these interfaces; of several with the same one, the last counts.</summary>
    internal void Publish(IEnumerable<PodInterface> interfaces)
    {
        List<(PodInterface Owner, ulong Namespace)> owners = [.. interfaces.Select(owner => (owner, owner.Identity.PeerNamespace)).Where(entry => entry.PeerNamespace != 0)];
        if (owners.SequenceEqual(_owners))
        {
            return;
        }
        var table = ImmutableDictionary.CreateBuilder<ulong, PodInterface>();
        foreach (var (owner, ns) in owners)
        {
            table[ns] = owner;
        }
        table[_hostNamespace] = _host;
        _table.ByNamespace = table.ToImmutable();
        _owners = owners;
    }
}
