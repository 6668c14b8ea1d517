using System.Diagnostics.CodeAnalysis;
using Exporter.Pods;

namespace Exporter.Signals;

/// <summary>Finds the pod that a row is of. Used by one drain.</summary>
/// <typeparam name="TKey">The key of a row.</typeparam>
/// <typeparam name="TOwner">Identifies an owner, also while its pod is not known.</typeparam>
internal interface IRowOwners<TKey, TOwner>
{
    /// <summary>Returns false where no pod can become known.</summary>
    bool TryFind(in TKey key, [MaybeNullWhen(false)] out TOwner owner);

    /// <summary>Null while its pod is not known.</summary>
    IPodAccount? FindAccount(TOwner owner);

    /// <summary>An interface of the pod; null where it is not known.</summary>
    PodInterface? FindInterface(in TKey key);

    /// <summary>The number that counts of the owner are held by, also after a restart.</summary>
    ulong NumberOf(TOwner owner);

    /// <summary>Finds the owner of counts that a previous process has held.</summary>
    /// <param name="restored">The interfaces that it has counted.</param>
    /// <returns>Whether its pod can become known still.</returns>
    bool TryRestore(ulong number, IReadOnlyList<PodInterface> restored, [MaybeNullWhen(false)] out TOwner owner);
}
