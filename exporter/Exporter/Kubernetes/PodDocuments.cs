using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// What is read of the API server's documents, and no more: a pod's is 8 KB and more, of which this keeps some hundred bytes. The names are
/// the API's (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/); what is missing or null is empty.
/// </summary>
internal sealed record PodDocument
{
    /// <summary>A static pod's own uid: its object has another one each time that it is made.</summary>
    private const string StaticPodUid = "kubernetes.io/config.hash";

    private const string StaticPodMark = "kubernetes.io/config.mirror";

    private const string OptOut = "podnet.io/scrape";

    private const string Pod = "Pod";

    /// <summary>Of all labels of a pod together; most have some hundred.</summary>
    private const int MaxLabelCharacters = 16384;

    public PodMetadata Metadata { get => field; init => field = value ?? new(); } = new();

    public PodSpec Spec { get => field; init => field = value ?? new(); } = new();

    public PodStatus Status { get => field; init => field = value ?? new(); } = new();

    /// <summary>A manifest of the node's made it, and the API server only shows it.</summary>
    internal bool IsStatic => Metadata.Annotations?.ContainsKey(StaticPodMark) == true;

    /// <summary>Stays with the pod and is never another's.</summary>
    internal string Key => IsStatic && Metadata.Annotations!.GetValueOrDefault(StaticPodUid) is { Length: > 0 } uid ? uid : Metadata.Uid;

    /// <summary>
    /// Whether no container of it runs or will run. The phase of a pod that is being deleted stays Running until its object is gone where
    /// a finalizer holds that, and with older kubelets.
    /// </summary>
    internal bool IsOver => Status.Phase is "Succeeded" or "Failed" || (Metadata.DeletionTimestamp is not null && Status.HasOnlyEndedContainers);

    /// <summary>Whether it is over, or soon will be.</summary>
    internal bool IsEnding => IsOver || Metadata.DeletionTimestamp is not null;

    internal PodDescription Describe()
    {
        var (kind, name) = FindWorkload();
        return new(Metadata.Namespace, Metadata.Name)
        {
            Workload = name,
            WorkloadKind = kind,
            Labels = KeptLabels,
            IsOptedOut = Metadata.Annotations?.GetValueOrDefault(OptOut) == "false",
        };
    }

    /// <summary>The DaemonSet that controls the pod; null where none does, as after one was deleted with --cascade=orphan.</summary>
    internal DaemonSetReference? FindDaemonSet() =>
        Metadata.OwnerReferences?.FirstOrDefault(owner => owner is { Controller: true, Kind: "DaemonSet", Uid.Length: > 0 } && owner.ApiVersion.StartsWith("apps/", StringComparison.Ordinal)) is { } owner
            ? new(Metadata.Namespace, owner.Name, owner.Uid)
            : null;

    /// <summary>
    /// All of them, since options may choose others of them later without another list. The API server limits a label, but not how many a pod
    /// has: of one with more than <see cref="MaxLabelCharacters"/> the first by name are kept.
    /// </summary>
    private IReadOnlyDictionary<string, string>? KeptLabels
    {
        get
        {
            if (Metadata.Labels is not { } labels || labels.Sum(Length) <= MaxLabelCharacters)
            {
                return Metadata.Labels;
            }
            var left = MaxLabelCharacters;
            return labels.OrderBy(label => label.Key, StringComparer.Ordinal).TakeWhile(label => (left -= Length(label)) >= 0).ToDictionary();

            static int Length(KeyValuePair<string, string> label) => label.Key.Length + (label.Value?.Length ?? 0);
        }
    }

    /// <summary>
    /// The top owner, as far as the pod itself shows it: a Deployment calls its ReplicaSets by its own name and the hash of their
    /// template, a CronJob its Jobs by its own name and the minute.
    /// </summary>
    private (string Kind, string Name) FindWorkload()
    {
        if (Metadata.OwnerReferences?.FirstOrDefault(owner => owner?.Controller == true) is not { } owner || IsStatic)
        {
            return (Pod, Metadata.Name);
        }
        return owner.Kind switch
        {
            "ReplicaSet" when WithoutHash(owner.Name, "pod-template-hash") is { } name => ("Deployment", name),
            // https://argo-rollouts.readthedocs.io
            "ReplicaSet" when WithoutHash(owner.Name, "rollouts-pod-template-hash") is { } name => ("Rollout", name),
            "Job" when WithoutMinute(owner.Name) is { } name => ("CronJob", name),
            _ => (owner.Kind, owner.Name),
        };
    }

    private string? WithoutHash(string name, string label) =>
        Metadata.Labels?.GetValueOrDefault(label) is { Length: > 0 } hash && name.Length > hash.Length + 1 && name.EndsWith("-" + hash, StringComparison.Ordinal)
            ? name[..^(hash.Length + 1)]
            : null;

    /// <summary>
    /// Minutes since 1970 (getJobName() in pkg/controller/cronjob/utils.go) have eight digits from 1989 to 2160, but so has a date, like
    /// 20261125, which people write there themselves: as minutes, all dates of this century are before 2010.
    /// </summary>
    private static string? WithoutMinute(string name)
    {
        const int Digits = 8, Year2010 = 21_038_400;
        return name.Length > Digits + 1
            && name[^(Digits + 1)] == '-'
            && name[^Digits..].All(char.IsAsciiDigit)
            && int.Parse(name.AsSpan()[^Digits..], System.Globalization.CultureInfo.InvariantCulture) >= Year2010
                ? name[..^(Digits + 1)]
                : null;
    }
}

internal sealed record PodMetadata
{
    public string Uid { get => field; init => field = value ?? ""; } = "";

    public string Namespace { get => field; init => field = value ?? ""; } = "";

    public string Name { get => field; init => field = value ?? ""; } = "";

    public string ResourceVersion { get => field; init => field = value ?? ""; } = "";

    public DateTimeOffset? DeletionTimestamp { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    public IReadOnlyList<OwnerReference?>? OwnerReferences { get; init; }
}

internal sealed record OwnerReference
{
    public string ApiVersion { get => field; init => field = value ?? ""; } = "";

    public string Uid { get => field; init => field = value ?? ""; } = "";

    public string Kind { get => field; init => field = value ?? ""; } = "";

    public string Name { get => field; init => field = value ?? ""; } = "";

    public bool Controller { get; init; }
}

internal sealed record PodSpec
{
    public bool HostNetwork { get; init; }
}

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

    /// <summary>Each once, in one form. A text that is not an address is left out.</summary>
    internal IReadOnlyList<IPAddress> FindAddresses() =>
        [.. (PodIPs ?? []).Select(address => address?.Ip).Append(PodIP).Select(PodAddress.Parse).OfType<IPAddress>().Distinct()];

    /// <summary>When the last container ended; null if the status does not say so.</summary>
    internal DateTimeOffset? FindEndTime() => ContainerStatuses?.Max(container => container?.State?.Terminated?.FinishedAt);

    /// <summary>
    /// The newest time at which the sandbox with this status's addresses was there, by the node's clock in whole seconds, rounded down: it
    /// became ready then, or a container that runs in it was started. Null if the status does not say so. docs/adr/0009 says which version sets what.
    /// </summary>
    internal DateTimeOffset? FindSandboxTime() =>
        Newest([
            .. (Conditions ?? []).Where(condition => condition is { IsOfSandbox: true, Status: "True" }).Select(condition => condition!.LastTransitionTime),
            .. Containers.Select(container => container?.State?.Running?.StartedAt)]);

    /// <summary>The same, or a time before that, at which the pod had a sandbox, perhaps another one.</summary>
    internal DateTimeOffset? FindSignTime() =>
        Newest([FindSandboxTime(), .. Containers.SelectMany(container => new[] { container?.State?.Terminated?.StartedAt, container?.LastState?.Terminated?.StartedAt })]);

    private IEnumerable<ContainerStatus?> Containers => (InitContainerStatuses ?? []).Concat(ContainerStatuses ?? []).Concat(EphemeralContainerStatuses ?? []);

    /// <summary>A kubelet sets the start time before any other: what is older, or stands without one, is not this pod's.</summary>
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

internal sealed record PodAddress
{
    public string? Ip { get; init; }

    /// <summary>
    /// Reads an address in any form that an API server delivers. The API reads octets with leading zeros as decimal numbers
    /// (k8s.io/utils/net ParseIPSloppy), the system's parser as octal ones; it also reads ports, scopes and numbers without dots. An IPv4
    /// address that is mapped to IPv6 is the IPv4 address.
    /// </summary>
    internal static IPAddress? Parse(string? text)
    {
        text = text?.Trim();
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }
        var last = text.LastIndexOf(':') + 1;
        if (text.Contains('.', StringComparison.Ordinal))
        {
            if (PlainOctets(text[last..]) is not { } octets)
            {
                return null;
            }
            text = text[..last] + octets;
        }
        else if (last == 0)
        {
            return null;
        }
        if (!text.All(character => char.IsAsciiHexDigit(character) || character is ':' or '.') || !IPAddress.TryParse(text, out var address))
        {
            return null;
        }
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static string? PlainOctets(string text)
    {
        var octets = text.Split('.');
        return octets.Length == 4 && octets.All(octet => octet.Length is > 0 and < 10 && octet.All(char.IsAsciiDigit))
            ? string.Join('.', octets.Select(octet => int.Parse(octet, System.Globalization.CultureInfo.InvariantCulture)))
            : null;
    }
}

internal sealed record PodCondition
{
    public string Type { get => field; init => field = value ?? ""; } = "";

    public string Status { get => field; init => field = value ?? ""; } = "";

    public DateTimeOffset? LastTransitionTime { get; init; }

    /// <summary>The second name is that of Kubernetes 1.25 to 1.27 (KEP 3085).</summary>
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

/// <summary>One page of a list.</summary>
internal sealed record PodPage
{
    internal const string ListOfPods = "PodList";

    /// <summary>Something else, from whoever is in between, must not pass for a node without pods.</summary>
    public string? Kind { get; init; }

    public ListMetadata Metadata { get => field; init => field = value ?? new(); } = new();

    public IReadOnlyList<PodDocument?>? Items { get; init; }
}

internal sealed record ListMetadata
{
    public string ResourceVersion { get => field; init => field = value ?? ""; } = "";

    /// <summary>Asks for the next page; empty on the last.</summary>
    public string? Continue { get; init; }
}

/// <summary>An error of the API server, as the body of an answer or as the object of an ERROR event.</summary>
internal sealed record StatusDocument
{
    public int Code { get; init; }

    public string Message { get => field; init => field = value ?? ""; } = "";
}

/// <summary>One event of a watch.</summary>
/// <param name="Type">ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.</param>
/// <param name="Pod">Of a bookmark, only its version means something.</param>
/// <param name="Error">What an ERROR is about.</param>
internal sealed record PodEvent(string Type, PodDocument Pod, StatusDocument? Error)
{
    private const string Wanted = "an event of a watch";

    /// <exception cref="JsonException">The line is no event.</exception>
    internal static PodEvent Parse(ReadOnlySpan<byte> line)
    {
        var type = ApiJson.Read(line, PodDocumentContext.Default.EventHead, Wanted)?.Type;
        return type switch
        {
            null or "" => throw new JsonException("an event of its watch has no type"),
            "ERROR" => new(type, new(), ApiJson.Read(line, PodDocumentContext.Default.ErrorEvent, Wanted)!.Object ?? new()),
            _ => new(type, ApiJson.Read(line, PodDocumentContext.Default.ObjectEvent, Wanted)!.Object ?? throw new JsonException("an event of its watch has no object"), null),
        };
    }

    /// <summary>An event's objects are of different kinds, so its type is read first.</summary>
    internal sealed record EventHead
    {
        public string? Type { get; init; }
    }

    internal sealed record ObjectEvent
    {
        public PodDocument? Object { get; init; }
    }

    internal sealed record ErrorEvent
    {
        public StatusDocument? Object { get; init; }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PodPage))]
[JsonSerializable(typeof(StatusDocument))]
[JsonSerializable(typeof(PodEvent.EventHead))]
[JsonSerializable(typeof(PodEvent.ObjectEvent))]
[JsonSerializable(typeof(PodEvent.ErrorEvent))]
internal sealed partial class PodDocumentContext : JsonSerializerContext;
