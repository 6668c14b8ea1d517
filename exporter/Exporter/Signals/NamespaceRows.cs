using Exporter.Pods;

namespace Exporter.Signals;

/// <summary>Rows that are counted by network namespace.</summary>
/// <param name="namespaceOf">The number of the namespace in a key.</param>
internal sealed class NamespaceRows<TKey>(PodTable pods, Func<TKey, ulong> namespaceOf) : IRowOwners<TKey, ulong>
{
    /// <summary>
    /// Only a namespace that is, or has been until just now, the peer of an interface: a process that may make user namespaces can make any number of others.
    /// </summary>
    public bool TryFind(in TKey key, out ulong owner)
    {
        owner = namespaceOf(key);
        return pods.ByNamespace.ContainsKey(owner) || pods.PeerNamespaces.Contains(owner);
    }

    public IPodAccount? FindAccount(ulong owner) => pods.ByNamespace.GetValueOrDefault(owner)?.Counts;

    public PodInterface? FindInterface(in TKey key) => pods.ByNamespace.GetValueOrDefault(namespaceOf(key));

    public ulong NumberOf(ulong owner) => owner;

    /// <summary>The pod may become known again until the wait is over.</summary>
    public bool TryRestore(ulong number, IReadOnlyList<PodInterface> restored, out ulong owner)
    {
        owner = number;
        return true;
    }
}
