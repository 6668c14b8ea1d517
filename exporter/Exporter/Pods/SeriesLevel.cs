namespace Exporter.Pods;

/// <summary>The level that series stand for: a pod, or all pods of a workload or a namespace.</summary>
internal enum SeriesLevel
{
    Pod,
    Workload,
    Namespace,
}
