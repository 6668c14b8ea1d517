using System.Net;

namespace Exporter.Pods;

/// <summary>A pod, and how it is shown. Two are equal that are shown in the same way, whatever else is known of them.</summary>
/// <param name="Labels">Labels of its series: pods that have all of them in common share their series.</param>
/// <param name="IsExcluded">It has no series; its traffic is in one total of all excluded pods.</param>
internal sealed record PodIdentity(string Namespace, string Name, LabelValues Labels, bool IsExcluded = false)
{
    /// <summary>As <see cref="PodDescription.Workload"/>.</summary>
    internal string Workload { get; init; } = "";

    /// <summary>As <see cref="PodDescription.WorkloadKind"/>.</summary>
    internal string WorkloadKind { get; init; } = "";

    /// <summary>As <see cref="PodDescription.Uid"/>.</summary>
    internal string Uid { get; init; } = "";

    /// <summary>Its addresses, as the API server has them; empty where they are not known.</summary>
    internal IReadOnlyList<IPAddress> Addresses { get; init; } = [];

    /// <summary>As <see cref="PodDescription.IsWithoutFlows"/>.</summary>
    internal bool IsWithoutFlows { get; init; }

    public bool Equals(PodIdentity? other) =>
        other is not null && (Namespace, Name, IsExcluded) == (other.Namespace, other.Name, other.IsExcluded) && Labels.Equals(other.Labels);

    public override int GetHashCode() => HashCode.Combine(Namespace, Name, IsExcluded, Labels);
}
