using Exporter.Health;

namespace Exporter.Kubernetes;

/// <summary>
/// Takes the node's pods from their watch into the store. Pauses between failed requests are short enough that a pod which starts meanwhile is
/// identified before its counts are given up.
/// </summary>
/// <param name="changes">Set when the store has changed.</param>
internal sealed partial class PodFeed(string node, PodStore store, ChangeSignal changes, KubernetesMetrics metrics, TimeProvider time, ILogger logger)
    : IResourceSink<PodDocument>
{
    private readonly Trouble _missingNode = new();

    /// <summary>Asks the watch for lists that decide which pod an interface belongs to.</summary>
    internal ListRequests Requests { get; } = new("an interface without a pod", store.Questions, () => store.IsBehind, time);

    /// <summary>Half of the time for which counts without a pod are held. The other half remains for a retry, a list and the match with interfaces.</summary>
    public TimeSpan LongestPause => store.Keep / 2;

    /// <summary>Claims to addresses need to know which pods are gone, and only a list of now shows that.</summary>
    public bool TakesCachedLists => false;

    /// <summary>
    /// Takes a list. If the watch can continue and delivers, it does not start from the list: the events up to the list would be missed, and so
    /// the pods that came and went.
    /// </summary>
    public bool TakeList(IReadOnlyCollection<PodDocument> objects, DateTimeOffset askedAt, bool isCached, bool canContinue)
    {
        var (isFirst, startsWatch) = (store.ListedAt is null, !canContinue || store.IsBehind);
        if (startsWatch)
        {
            store.Reset(objects, askedAt, isCached);
        }
        else
        {
            store.Await(objects, askedAt);
        }
        OnChanged();
        if (store.Count == 0)
        {
            if (isFirst)
            {
                LogNoPods(node);
            }
            else if (Requests.IsDue && _missingNode.Begins())
            {
                LogMissingNode(node);
            }
        }
        return startsWatch;
    }

    public void Set(PodDocument changed)
    {
        store.Set(changed);
        OnChanged();
    }

    public void Remove(PodDocument deleted)
    {
        store.Remove(deleted);
        OnChanged();
    }

    public void SetCurrent(bool isCurrent)
    {
        store.SetCurrent(isCurrent);
        store.RemoveExpired();
    }

    private void OnChanged()
    {
        metrics.Pods.Set(store.Count);
        changes.Set();
    }

    [LoggerMessage(43, LogLevel.Warning, "Node {Node} has no pods: check Kubernetes:NodeName if that is wrong")]
    private partial void LogNoPods(string node);

    [LoggerMessage(44, LogLevel.Warning, "No pod is on node {Node}, but interfaces of pods are here: set Kubernetes:NodeName to this node's name as the cluster knows it")]
    private partial void LogMissingNode(string node);
}
