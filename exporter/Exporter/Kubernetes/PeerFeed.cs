using Exporter.Peers;

namespace Exporter.Kubernetes;

/// <summary>Takes the objects of one role from their watch into the store of peers. The store keeps them while the API server is away.</summary>
internal abstract class PeerFeed<T>(PeerStore store, PeerRole role) : IResourceSink<T>
    where T : KubernetesObject
{
    /// <summary>Names of peers may be late: nothing waits for them.</summary>
    public TimeSpan LongestPause => TimeSpan.FromSeconds(15);

    /// <summary>Takes a list. Such a watch has no lists beside it, so it always starts from the list.</summary>
    public bool TakeList(IReadOnlyCollection<T> objects, DateTimeOffset askedAt, bool isCached, bool canContinue)
    {
        store.Replace(role, objects.Select(Describe));
        return true;
    }

    public void Set(T changed) => store.Set(Describe(changed));

    public void Remove(T deleted) => store.Remove(role, deleted.Metadata.Namespace, deleted.Metadata.Name);

    public void SetCurrent(bool isCurrent)
    {
        // Whether changes come as they happen is in the metrics of the watch; known names stay in either case.
    }

    protected abstract PeerFacts Describe(T document);
}

/// <summary>Services: their own addresses and ports.</summary>
internal sealed class ServiceFeed(PeerStore store) : PeerFeed<ServiceDocument>(store, PeerRole.Vip)
{
    protected override PeerFacts Describe(ServiceDocument document) => document.Describe();
}

/// <summary>EndpointSlices: the addresses and ports of Services' backends.</summary>
internal sealed class EndpointSliceFeed(PeerStore store) : PeerFeed<EndpointSliceDocument>(store, PeerRole.Endpoint)
{
    protected override PeerFacts Describe(EndpointSliceDocument document) => document.Describe();
}

/// <summary>Nodes: their addresses.</summary>
internal sealed class NodeFeed(PeerStore store) : PeerFeed<NodeDocument>(store, PeerRole.Node)
{
    protected override PeerFacts Describe(NodeDocument document) => document.Describe();
}
