namespace Exporter.Pods;

/// <summary>Properties of a pod that its series can show.</summary>
internal sealed record PodDescription(string Namespace, string Name)
{
    /// <summary>The workload that the pod belongs to; empty where it stands for itself.</summary>
    internal string Workload { get; init; } = "";

    /// <summary>Deployment, StatefulSet, DaemonSet, CronJob and the like; empty as <see cref="Workload"/>.</summary>
    internal string WorkloadKind { get; init; } = "";

    /// <summary>The pod's UID at the API server; empty: not known.</summary>
    internal string Uid { get; init; } = "";

    /// <summary>The pod's own labels.</summary>
    internal IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>Whether the pod's annotation excludes it.</summary>
    internal bool IsOptedOut { get; init; }

    /// <summary>Whether the pod's annotation keeps its flows out of records and edges.</summary>
    internal bool IsWithoutFlows { get; init; }
}
