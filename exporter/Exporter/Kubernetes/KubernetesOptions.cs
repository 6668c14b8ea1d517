using Exporter.Options;

namespace Exporter.Kubernetes;

/// <summary>How the API server is reached, and which node is asked for.</summary>
/// <param name="NodeName">Empty: the environment's.</param>
/// <param name="Kubeconfig">Empty: as a pod.</param>
/// <param name="Context">Empty: the current one.</param>
internal sealed record KubernetesOptions(string NodeName, string Kubeconfig, string Context)
{
    /// <summary>What the chart sets from the downward API (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/).</summary>
    private const string NodeNameVariable = "NODE_NAME";

    private const string PodUidVariable = "POD_UID";

    /// <summary>The node as series name it: by the host where the cluster's name is not known.</summary>
    internal string NodeOrHost => FindNodeName() ?? Environment.MachineName;

    internal static KubernetesOptions Read(OptionReader reader) => new(
        reader.Text("Kubernetes:NodeName", "the name of a node", "Name of this node; empty: the environment variable NODE_NAME."),
        reader.Text("Kubernetes:Kubeconfig", "a path", "A kubeconfig file; empty: KUBECONFIG, or the ServiceAccount of the pod."),
        reader.Text("Kubernetes:Context", "a context", "A context of the kubeconfig file; empty: its current one."));

    /// <summary>The uid of the pod that this process runs in; null: the environment does not say.</summary>
    internal static string? FindPodUid() => Environment.GetEnvironmentVariable(PodUidVariable) is { Length: > 0 } uid ? uid : null;

    /// <summary>Null where nobody says.</summary>
    internal string? FindNodeName() =>
        NodeName.Length > 0 ? NodeName : Environment.GetEnvironmentVariable(NodeNameVariable) is { Length: > 0 } name ? name : null;
}
