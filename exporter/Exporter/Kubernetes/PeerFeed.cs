using Exporter.Peers;

namespace Exporter.Kubernetes;

/// <summary>Takes the objects of one role from their watch into the store of peers. The store keeps them while the API server is away.</summary>
/// <param name="describe">What the store has of an object.</param>
internal sealed class PeerFeed<T>(PeerStore store, PeerRole role, Func<T, PeerFacts> describe) : IResourceSink<T>
    where T : KubernetesObject
{
    /// <summary>Names of peers may be late: nothing but the first interval waits for them, and not for long.</summary>
    public TimeSpan LongestPause => TimeSpan.FromSeconds(15);

    /// <summary>All nodes list all Services, backends and nodes, and may do so at the same time.</summary>
    public bool TakesCachedLists => true;

    /// <summary>Takes a list. Such a watch has no lists beside it, so it always starts from the list.</summary>
    public bool TakeList(IReadOnlyCollection<T> objects, DateTimeOffset askedAt, bool isCached, bool canContinue)
    {
        store.Replace(role, objects.Select(describe));
        return true;
    }

    public void Set(T changed) => store.Set(describe(changed));

    public void Remove(T deleted) => store.Remove(role, deleted.Metadata.Namespace, deleted.Metadata.Name);

    public void SetCurrent(bool isCurrent)
    {
        // Whether changes come as they happen is in the metrics of the watch; known names stay in either case.
    }
}
