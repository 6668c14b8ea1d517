using Exporter.Options;

namespace Exporter.Pods;

/// <summary>How pods are shown: the labels of their series, and who is left out.</summary>
internal sealed class PodLabels(MetricsOptions options, KubernetesOptions kubernetes)
{
    private const string HostName = "__host__";

    private readonly string _node = kubernetes.FindNodeName() ?? Environment.MachineName;

    /// <summary>The labels' names.</summary>
    internal IReadOnlyList<string> Names { get; } = [.. options.PodLabels.Select(label => label.Name)];

    /// <summary>Stands for the host's own network namespace, and all pods that use it.</summary>
    internal PodIdentity Host => Identify(new(HostName, HostName)) with { IsExcluded = false };

    internal PodIdentity Identify(PodDescription pod) => new(
        pod.Namespace,
        pod.Name,
        new([.. options.PodLabels.Select(label => ValueOf(label, pod))]),
        pod.IsOptedOut || options.ExcludedNamespaces.Contains(pod.Namespace) || (options.Namespaces.Count > 0 && !options.Namespaces.Contains(pod.Namespace)));

    private string ValueOf(PodLabel label, PodDescription pod) => label switch
    {
        { Key: { } key } => pod.Labels?.GetValueOrDefault(key) ?? "",
        { Name: PodLabel.Namespace } => pod.Namespace,
        { Name: PodLabel.Pod } => pod.Name,
        { Name: PodLabel.Workload } => pod.Workload,
        { Name: PodLabel.WorkloadKind } => pod.WorkloadKind,
        _ => _node,
    };
}

/// <summary>One label of the pods' series.</summary>
/// <param name="Name">As it is in the series.</param>
/// <param name="Key">The pod's own label that it shows; null where it is one of the words.</param>
internal sealed record PodLabel(string Name, string? Key = null)
{
    internal const string Namespace = "namespace";
    internal const string Pod = "pod";
    internal const string Workload = "workload";
    internal const string WorkloadKind = "workload_kind";
    internal const string Node = "node";

    private const string KeyPrefix = "label:";

    private static readonly string[] Words = [Namespace, Pod, Workload, WorkloadKind, Node];

    /// <exception cref="FormatException">It is none.</exception>
    internal static PodLabel Parse(string text)
    {
        if (Words.Contains(text))
        {
            return new(text);
        }
        if (!text.StartsWith(KeyPrefix, StringComparison.Ordinal) || text.Length == KeyPrefix.Length)
        {
            throw new FormatException($"has '{text}', which is not one of {string.Join(", ", Words)}; a pod's own label is written {KeyPrefix}app.kubernetes.io/name");
        }
        var key = text[KeyPrefix.Length..];
        // As kube-state-metrics names them, so that they can be joined.
        return new("label_" + string.Concat(key.Select(character => char.IsAsciiLetterOrDigit(character) ? character : '_')), key);
    }
}
