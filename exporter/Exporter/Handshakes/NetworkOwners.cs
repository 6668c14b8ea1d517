using System.Collections.Immutable;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;

namespace Exporter.Handshakes;

/// <summary>
/// Says which pod a network namespace belongs to: the one whose interface leads there. The host's own stands for itself. Used by the
/// reconciler only.
/// </summary>
internal sealed class NetworkOwners
{
    private readonly TcpHandshakePrograms _programs;
    private readonly PodTable _table;
    private readonly ulong _hostNetwork;
    private readonly PodInterface _host;
    private List<(PodInterface Owner, int? NamespaceId)> _interfaces = [];
    private Dictionary<(PodInterface Owner, int? NamespaceId), ulong> _networks = [];

    public NetworkOwners(TcpHandshakePrograms programs, PodTable table, PodMetrics pods)
    {
        _programs = programs;
        _table = table;
        _hostNetwork = programs.FindNetwork(null);
        _host = new(new(0, "host", "", 0, 0, null), generation: 0, seenAt: default) { Counts = pods.AcquireHost() };
        _table.Networks = _table.Networks.SetItem(_hostNetwork, _host);
    }

    /// <summary>The number of the namespace that an interface leads to; 0 where there is none.</summary>
    /// <exception cref="BpfException">The kernel does not tell.</exception>
    internal ulong Find(int? namespaceId) => _programs.FindNetwork(namespaceId);

    /// <summary>Goes on from what a former process knew; the ids of those that are gone may be others' by now.</summary>
    internal void Restore(IReadOnlyList<(PodInterface Owner, ulong Network)> interfaces)
    {
        foreach (var (owner, network) in interfaces.Where(record => record.Network != 0 && record.Network != _hostNetwork))
        {
            _networks[(owner, owner.Link.PeerNamespaceId)] = network;
            _table.Networks = _table.Networks.SetItem(network, owner);
        }
    }

    /// <summary>Publishes the namespaces of these interfaces; of several that lead to one, the last counts.</summary>
    /// <param name="interfaces">With the ids of the namespaces that they lead to.</param>
    /// <exception cref="BpfException">The kernel does not tell.</exception>
    internal void Publish(List<(PodInterface Owner, int? NamespaceId)> interfaces)
    {
        if (interfaces.SequenceEqual(_interfaces) && !_networks.ContainsValue(0))
        {
            return;
        }
        // An id comes back for another namespace, but not while an interface leads to it.
        var networks = interfaces.ToDictionary(entry => entry, entry => _networks.GetValueOrDefault(entry) is > 0 and var known ? known : _programs.FindNetwork(entry.NamespaceId));
        var owners = ImmutableDictionary.CreateBuilder<ulong, PodInterface>();
        foreach (var entry in interfaces.Where(entry => networks[entry] != 0))
        {
            owners[networks[entry]] = entry.Owner;
        }
        owners[_hostNetwork] = _host;
        _table.Networks = owners.ToImmutable();
        (_interfaces, _networks) = (interfaces, networks);
    }
}
