using System.Net;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>A pod in the store, with the state that the API server last reported. Written by the store, read by any thread.</summary>
internal sealed class StoredPod(string key, PodState state)
{
    private PodState _state = state;
    private ShownPod? _shown;
    private long _changedAt;
    private volatile bool _isEnding;

    internal string Key => key;

    internal PodState State => Volatile.Read(ref _state);

    /// <summary>Whether the pod is over or is being deleted.</summary>
    internal bool IsEnding => _isEnding;

    /// <summary>Time of its last event.</summary>
    internal DateTimeOffset ChangedAt => new(Volatile.Read(ref _changedAt), TimeSpan.Zero);

    /// <summary>The version of its object. Used by the store only.</summary>
    internal string Version { get; set; } = "";

    /// <summary>The newest time of a sandbox in its status so far; null before the first. Used by the store only.</summary>
    internal DateTimeOffset? SignTime { get; set; }

    /// <summary>The claims to its present addresses. Used by the store only.</summary>
    internal List<AddressClaim> Claims { get; } = [];

    /// <summary>The pod with these labels, created once for each state and set of labels.</summary>
    internal PodIdentity Identify(PodLabels labels)
    {
        var (state, shown) = (State, Volatile.Read(ref _shown));
        if (shown is null || !ReferenceEquals(shown.State, state) || shown.Labels != labels)
        {
            shown = new(state, labels, labels.Identify(state.Description) with { Addresses = state.Addresses });
            Volatile.Write(ref _shown, shown);
        }
        return shown.Identity;
    }

    internal void Set(PodState state, bool isEnding, DateTimeOffset? at)
    {
        Volatile.Write(ref _state, state);
        _isEnding = isEnding;
        if (at is { } changedAt)
        {
            Volatile.Write(ref _changedAt, changedAt.UtcTicks);
        }
    }

    private sealed record ShownPod(PodState State, PodLabels Labels, PodIdentity Identity);
}

/// <summary>
/// A pod's state as the API server last reported it. It has no labels of series: those are created from the description on demand, so that
/// changed options show other labels of known pods.
/// </summary>
/// <param name="DaemonSet">The DaemonSet that controls the pod; null if no DaemonSet does.</param>
internal sealed record PodState(PodDescription Description, string Phase, bool HostNetwork, IReadOnlyList<IPAddress> Addresses, DaemonSetReference? DaemonSet);
