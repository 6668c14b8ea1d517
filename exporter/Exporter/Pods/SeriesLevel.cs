namespace Exporter.Pods;

/// <summary>What series stand for: a pod, or all pods of a workload or a namespace.</summary>
internal enum SeriesLevel
{
    Pod,
    Workload,
    Namespace,
}
