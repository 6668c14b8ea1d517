namespace Exporter.Pods;

/// <summary>A pod, and how it is shown.</summary>
/// <param name="Labels">Labels of its series: pods that have all of them in common share their series.</param>
/// <param name="IsExcluded">It has no series; its traffic is in one total of all excluded pods.</param>
internal sealed record PodIdentity(string Namespace, string Name, LabelValues Labels, bool IsExcluded = false);
