using System.Net;

namespace Exporter.Kubernetes;

internal sealed record PodStatus
{
    public string Phase { get => field; init => field = value ?? ""; } = "";

    public DateTimeOffset? StartTime { get; init; }

    public string? PodIP { get; init; }

    public IReadOnlyList<PodAddress?>? PodIPs { get; init; }

    public IReadOnlyList<PodCondition?>? Conditions { get; init; }

    public IReadOnlyList<ContainerStatus?>? InitContainerStatuses { get; init; }

    public IReadOnlyList<ContainerStatus?>? ContainerStatuses { get; init; }

    public IReadOnlyList<ContainerStatus?>? EphemeralContainerStatuses { get; init; }

    internal bool HasOnlyEndedContainers =>
        ContainerStatuses is { Count: > 0 } && ContainerStatuses.All(container => container?.State?.Terminated is not null);

    /// <summary>The pod's addresses, each once and in one form. Text that is not an address is skipped.</summary>
    internal IReadOnlyList<IPAddress> FindAddresses() =>
        [.. (PodIPs ?? []).Select(address => address?.Ip).Append(PodIP).Select(PodAddress.Parse).OfType<IPAddress>().Distinct()];

    /// <summary>When the last container ended; null if the status does not say so.</summary>
    internal DateTimeOffset? FindEndTime() => ContainerStatuses?.Max(container => container?.State?.Terminated?.FinishedAt);

    /// <summary>
    /// The newest time at which the sandbox with this status's addresses existed, by the node's clock in whole seconds, rounded down: the
    /// sandbox became ready then, or a running container was started in it. Null if the status does not show it. docs/adr/0009 lists the
    /// fields that each version of Kubernetes sets.
    /// </summary>
    internal DateTimeOffset? FindSandboxTime() =>
        Newest([
            .. (Conditions ?? []).Where(condition => condition is { IsOfSandbox: true, Status: "True" }).Select(condition => condition!.LastTransitionTime),
            .. Containers.Select(container => container?.State?.Running?.StartedAt)]);

    /// <summary>The newest time at which the pod had a sandbox, perhaps a previous one. Not before <see cref="FindSandboxTime"/>.</summary>
    internal DateTimeOffset? FindSignTime() =>
        Newest([FindSandboxTime(), .. Containers.SelectMany(container => new[] { container?.State?.Terminated?.StartedAt, container?.LastState?.Terminated?.StartedAt })]);

    private IEnumerable<ContainerStatus?> Containers => (InitContainerStatuses ?? []).Concat(ContainerStatuses ?? []).Concat(EphemeralContainerStatuses ?? []);

    /// <summary>The newest of the times from the pod's start on. A kubelet sets the start time first: older times are not this pod's.</summary>
    private DateTimeOffset? Newest(ReadOnlySpan<DateTimeOffset?> times)
    {
        DateTimeOffset? newest = null;
        foreach (var time in times)
        {
            newest = time >= StartTime && !(newest > time) ? time : newest;
        }
        return newest;
    }
}

internal sealed record PodCondition
{
    public string Type { get => field; init => field = value ?? ""; } = "";

    public string Status { get => field; init => field = value ?? ""; } = "";

    public DateTimeOffset? LastTransitionTime { get; init; }

    /// <summary>Whether the condition is about the sandbox. PodHasNetwork is its name in Kubernetes 1.25 to 1.27 (KEP 3085).</summary>
    internal bool IsOfSandbox => Type is "PodReadyToStartContainers" or "PodHasNetwork";
}

internal sealed record ContainerStatus
{
    public ContainerState? State { get; init; }

    public ContainerState? LastState { get; init; }
}

internal sealed record ContainerState
{
    public RunningState? Running { get; init; }

    public TerminatedState? Terminated { get; init; }
}

internal sealed record RunningState
{
    public DateTimeOffset? StartedAt { get; init; }
}

internal sealed record TerminatedState
{
    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? FinishedAt { get; init; }
}
