using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// Asks the API server for the node's pods because of interfaces without a pod, and counts the interfaces that stay undecided. Used by one
/// thread.
/// </summary>
internal sealed class PodQuestions(PodStore store, ClaimMatcher matcher, TimeProvider time, KubernetesMetrics? metrics)
{
    /// <summary>Times of the requests to the API server because of an interface, by generation.</summary>
    private readonly Dictionary<long, DateTimeOffset> _askedAt = [];

    /// <summary>The generations of interfaces that were counted as undecided.</summary>
    private readonly HashSet<long> _undecided = [];

    /// <summary>
    /// Asks for a list if one is due: once for each interface, and again if there was an event since then which a list may confirm.
    /// </summary>
    internal void AskIfDue(PodInterface owner)
    {
        var now = time.GetUtcNow();
        if (owner.GoneAt is not null || owner.Addresses.Count == 0 || store.ListedAt is not { } listedAt)
        {
            return;
        }
        if (now - owner.AddressedOrSeenAt > store.Keep)
        {
            CountUndecided(owner);
        }
        var due = (owner.AddressedOrSeenAt > listedAt ? owner.AddressedOrSeenAt : listedAt) + ClaimMatcher.ListDelay;
        if (_askedAt.TryGetValue(owner.Generation, out var askedAt))
        {
            due = owner.Addresses.Select(address => matcher.FindUnconfirmed(owner, store.GetClaims(address))).OfType<AddressClaim>().FirstOrDefault() is { } claim
                ? ClaimMatcher.ConfirmableAt(owner, claim)
                : DateTimeOffset.MaxValue;
        }
        if (now >= due && askedAt < due && store.CompleteAt < due)
        {
            _askedAt[owner.Generation] = now;
            store.Questions.Set();
        }
    }

    /// <summary>Counts an interface once if pods have its addresses.</summary>
    internal void CountUndecided(PodInterface owner)
    {
        if (owner.Addresses.Any(address => !store.GetClaims(address).IsEmpty) && _undecided.Add(owner.Generation))
        {
            metrics?.Undecided.Inc();
        }
    }

    /// <summary>Forgets an interface that has a pod or is gone.</summary>
    internal void Forget(PodInterface owner)
    {
        _askedAt.Remove(owner.Generation);
        _undecided.Remove(owner.Generation);
    }
}
