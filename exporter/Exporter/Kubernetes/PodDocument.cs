using System.Text.Json.Serialization;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// A pod as the API server shows it, with only the fields that the exporter uses: some hundred bytes of 8 KB and more. The names are the
/// API's (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/). Fields that are missing or null are empty.
/// </summary>
internal sealed record PodDocument : KubernetesObject
{
    /// <summary>The annotation with a static pod's own uid: each mirror object has another uid.</summary>
    private const string StaticPodUid = "kubernetes.io/config.hash";

    private const string StaticPodMark = "kubernetes.io/config.mirror";

    private const string OptOut = "podnet.io/scrape";

    private const string Flows = "podnet.io/flows";

    private const string Pod = "Pod";

    /// <summary>The limit for all labels of a pod together; most pods have some hundred characters.</summary>
    private const int MaxLabelCharacters = 16384;

    public PodSpec Spec { get => field; init => field = value ?? new(); } = new();

    public PodStatus Status { get => field; init => field = value ?? new(); } = new();

    /// <summary>Whether it is a static pod: a manifest on the node defines it, and the API server has a mirror object only.</summary>
    internal bool IsStatic => Metadata.Annotations?.ContainsKey(StaticPodMark) == true;

    /// <summary>Identifies the pod: its uid, or a static pod's own uid.</summary>
    internal string Key => IsStatic && Metadata.Annotations!.GetValueOrDefault(StaticPodUid) is { Length: > 0 } uid ? uid : Metadata.Uid;

    /// <summary>
    /// Whether all containers of the pod have ended and none will start. The phase alone does not show that: with older kubelets, or with a
    /// finalizer, the phase of a pod that is being deleted stays Running until its object is gone.
    /// </summary>
    internal bool IsOver => Status.Phase is "Succeeded" or "Failed" || (Metadata.DeletionTimestamp is not null && Status.HasOnlyEndedContainers);

    /// <summary>Whether the pod is over or is being deleted.</summary>
    internal bool IsEnding => IsOver || Metadata.DeletionTimestamp is not null;

    /// <summary>The pods of a node as a resource to watch.</summary>
    internal static Resource<PodDocument> OfNode(string node) => new(
        "pods", "api/v1/pods", node, "PodList", PodDocumentContext.Default.ResourcePagePodDocument, PodDocumentContext.Default.ObjectEventPodDocument);

    internal PodDescription Describe()
    {
        var (kind, name) = FindWorkload();
        return new(Metadata.Namespace, Metadata.Name)
        {
            Workload = name,
            WorkloadKind = kind,
            Uid = Metadata.Uid,
            Labels = KeptLabels,
            IsOptedOut = Metadata.Annotations?.GetValueOrDefault(OptOut) == "false",
            IsWithoutFlows = Metadata.Annotations?.GetValueOrDefault(Flows) == "off",
        };
    }

    /// <summary>The DaemonSet that controls the pod; null if no DaemonSet does, as after its deletion with --cascade=orphan.</summary>
    internal DaemonSetReference? FindDaemonSet() =>
        Metadata.OwnerReferences?.FirstOrDefault(owner => owner is { Controller: true, Kind: "DaemonSet", Uid.Length: > 0 } && owner.ApiVersion.StartsWith("apps/", StringComparison.Ordinal)) is { } owner
            ? new(Metadata.Namespace, owner.Name, owner.Uid)
            : null;

    /// <summary>
    /// The pod's labels, also those that no option asks for: options can change without another list. The API server limits the length of a
    /// label, but not their number: of more than <see cref="MaxLabelCharacters"/> the first by name are kept.
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
    /// Finds the top owner, as far as the pod itself shows it: a Deployment names its ReplicaSets by its own name and the hash of their
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
    /// Removes the minute from the name of a CronJob's Job. Minutes since 1970 (getJobName() in pkg/controller/cronjob/utils.go) have eight
    /// digits from 1989 to 2160. Dates such as 20261125 have eight digits too, and users write them into names; read as minutes, all dates
    /// of this century are before 2010.
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

internal sealed record PodSpec
{
    public bool HostNetwork { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ResourcePage<PodDocument>))]
[JsonSerializable(typeof(ObjectEvent<PodDocument>))]
internal sealed partial class PodDocumentContext : JsonSerializerContext;
