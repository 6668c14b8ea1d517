using System.Net;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>Interfaces without a pod, by their addresses and in the order in which they had one. Used by one thread.</summary>
internal sealed class WaitingInterfaces
{
    /// <summary>Interfaces by address, then by when they had one, then by generation: one may be made before another one's whole life with its address.</summary>
    private readonly Dictionary<IPAddress, SortedDictionary<(long AddressedStamp, long Generation), PodInterface>> _byAddress = [];

    /// <summary>The addresses by which an interface waits.</summary>
    private readonly Dictionary<PodInterface, IReadOnlyList<IPAddress>> _addresses = [];

    internal IEnumerable<PodInterface> All => _addresses.Keys;

    internal bool Contains(PodInterface owner) => _addresses.ContainsKey(owner);

    internal IReadOnlyList<IPAddress> GetAddresses(PodInterface owner) => _addresses.GetValueOrDefault(owner, []);

    /// <summary>The interfaces that wait for a pod with this address, the first that had one first.</summary>
    internal IEnumerable<PodInterface> GetInOrder(IPAddress address) => _byAddress.TryGetValue(address, out var waiting) ? waiting.Values : [];

    /// <summary>Adds an interface by its present addresses. Without addresses it keeps its place: a namespace that is being taken down may lose them first.</summary>
    /// <returns>Whether its addresses are new.</returns>
    internal bool Add(PodInterface owner)
    {
        var addresses = owner.Addresses;
        if (addresses.Count == 0 || GetAddresses(owner) == addresses)
        {
            return false;
        }
        Remove(owner);
        foreach (var address in addresses)
        {
            if (!_byAddress.TryGetValue(address, out var waiting))
            {
                _byAddress[address] = waiting = [];
            }
            waiting[(owner.AddressedStamp, owner.Generation)] = owner;
        }
        _addresses[owner] = addresses;
        return true;
    }

    /// <summary>Removes an interface that has a pod, and those with the same peer namespace: the pod is theirs.</summary>
    internal void RemoveWithSiblings(PodInterface owner)
    {
        foreach (var sibling in GetAddresses(owner).SelectMany(GetInOrder).Where(other => other.First == owner.First).ToArray())
        {
            Remove(sibling);
        }
    }

    /// <summary>Removes an interface.</summary>
    internal void Remove(PodInterface owner)
    {
        if (!_addresses.Remove(owner, out var addresses))
        {
            return;
        }
        foreach (var address in addresses)
        {
            if (_byAddress.TryGetValue(address, out var waiting) && waiting.Remove((owner.AddressedStamp, owner.Generation)) && waiting.Count == 0)
            {
                _byAddress.Remove(address);
            }
        }
    }
}
