namespace Exporter.Kubernetes;

/// <summary>The DaemonSet that controls a pod, as the pod's metadata.ownerReferences name it.</summary>
internal sealed record DaemonSetReference(string Namespace, string Name, string Uid);
