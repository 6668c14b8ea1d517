using System.Diagnostics.CodeAnalysis;
using Exporter.Pods;

namespace Exporter.Signals;

/// <summary>Rows that are counted by interface.</summary>
/// <param name="ifindexOf">The index in a key.</param>
internal sealed class InterfaceRows<TKey>(PodTable pods, Func<TKey, int> ifindexOf) : IRowOwners<TKey, PodInterface>
{
    /// <summary>An interface is in the table before its first packet can be counted.</summary>
    public bool TryFind(in TKey key, [MaybeNullWhen(false)] out PodInterface owner) => pods.Current.TryGetValue(ifindexOf(key), out owner);

    public IPodAccount? FindAccount(PodInterface owner) => owner.Counts;

    public PodInterface? FindInterface(in TKey key) => pods.Current.GetValueOrDefault(ifindexOf(key));

    public ulong NumberOf(PodInterface owner) => (ulong)owner.Generation;

    public bool TryRestore(ulong number, IReadOnlyList<PodInterface> restored, [MaybeNullWhen(false)] out PodInterface owner) =>
        (owner = restored.FirstOrDefault(one => one.Generation == (long)number)) is not null;
}
