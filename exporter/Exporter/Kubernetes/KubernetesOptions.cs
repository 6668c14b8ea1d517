using Exporter.Options;

namespace Exporter.Kubernetes;

/// <summary>The options for access to the API server, and the name of the node.</summary>
/// <param name="NodeName">Empty: from the environment.</param>
/// <param name="Kubeconfig">Empty: access as a pod.</param>
/// <param name="Context">Empty: the current context.</param>
/// <param name="ClusterName">As flow records have it; empty: they do not.</param>
internal sealed record KubernetesOptions(string NodeName, string Kubeconfig, string Context, string ClusterName = "")
{
    /// <summary>The variable that the chart sets from the downward API (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/).</summary>
    private const string NodeNameVariable = "NODE_NAME";

    private const string PodUidVariable = "POD_UID";

    /// <summary>The node's name in series: the host's name if the cluster's name for it is not known.</summary>
    internal string NodeOrHost => FindNodeName() ?? Environment.MachineName;

    internal static KubernetesOptions Read(OptionReader reader) => new(
        reader.Text("Kubernetes:NodeName", "the name of a node", "Name of this node; empty: the environment variable NODE_NAME."),
        reader.Text("Kubernetes:Kubeconfig", "a path", "A kubeconfig file; empty: KUBECONFIG, or the ServiceAccount of the pod."),
        reader.Text("Kubernetes:Context", "a context", "A context of the kubeconfig file; empty: its current one."),
        reader.Text("Kubernetes:ClusterName", "a name", "Name of the cluster in flow records; empty: records have none."));

    /// <summary>The uid of the pod that this process runs in; null if the environment does not have it.</summary>
    internal static string? FindPodUid() => Environment.GetEnvironmentVariable(PodUidVariable) is { Length: > 0 } uid ? uid : null;

    /// <summary>The node's name from the options or the environment; null if neither has it.</summary>
    internal string? FindNodeName() =>
        NodeName.Length > 0 ? NodeName : Environment.GetEnvironmentVariable(NodeNameVariable) is { Length: > 0 } name ? name : null;
}
