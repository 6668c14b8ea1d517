namespace Exporter.Pods;

/// <summary>What series stand for: a pod, all pods of a workload or a namespace, or an interface of the node. The numbers are in ledgers.</summary>
internal enum SeriesLevel
{
    Pod,
    Workload,
    Namespace,

    /// <summary>One of the node's own interfaces, which no option of the pods' series chooses.</summary>
    Interface,
}
