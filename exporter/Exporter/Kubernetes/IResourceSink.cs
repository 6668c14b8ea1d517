namespace Exporter.Kubernetes;

/// <summary>Takes the objects of a watched resource. Called by the watch, one call at a time.</summary>
internal interface IResourceSink<T>
    where T : KubernetesObject
{
    /// <summary>How long a pause between two failed requests may be. The watch limits it to between one and fifteen seconds.</summary>
    TimeSpan LongestPause { get; }

    /// <summary>
    /// Whether a list from the API server's cache will do that is not older than the known objects. Else each list but the first is of the state when it was asked for, which
    /// costs the API server and its storage more.
    /// </summary>
    bool TakesCachedLists { get; }

    /// <summary>Takes a list.</summary>
    /// <param name="askedAt">When the list was asked for: it shows the state of that time or later, unless it is cached.</param>
    /// <param name="isCached">Whether the API server answered from its cache, which may be old.</param>
    /// <param name="canContinue">Whether the watch can continue from its own version, since the list was requested beside it.</param>
    /// <returns>Whether the watch starts from this list; always so if it cannot continue.</returns>
    bool TakeList(IReadOnlyCollection<T> objects, DateTimeOffset askedAt, bool isCached, bool canContinue);

    /// <summary>Takes an object that was added or modified.</summary>
    void Set(T changed);

    /// <summary>Takes the last state of an object that was deleted.</summary>
    void Remove(T deleted);

    /// <param name="isCurrent">Whether changes come as they happen. Called with true each time that data comes.</param>
    void SetCurrent(bool isCurrent);
}
