namespace Exporter.Pods;

/// <summary>What there is to know of a pod that its series can show.</summary>
internal sealed record PodDescription(string Namespace, string Name)
{
    /// <summary>What the pod is one of many of; empty where it stands for itself.</summary>
    internal string Workload { get; init; } = "";

    /// <summary>Deployment, StatefulSet, DaemonSet, CronJob and the like; empty as <see cref="Workload"/>.</summary>
    internal string WorkloadKind { get; init; } = "";

    /// <summary>The pod's own labels.</summary>
    internal IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>Whether the pod itself asks to be left out.</summary>
    internal bool IsOptedOut { get; init; }
}

/// <summary>A pod, and how it is shown.</summary>
/// <param name="Labels">What its series carry: pods that have them in common share their series.</param>
/// <param name="IsExcluded">It has no series; what it sends and receives is in one total of all that are left out.</param>
internal sealed record PodIdentity(string Namespace, string Name, LabelValues Labels, bool IsExcluded = false);

/// <summary>Values of the labels that Metrics:PodLabels names, in its order.</summary>
internal sealed class LabelValues(params string[] values) : IEquatable<LabelValues>
{
    private readonly string[] _values = values;

    internal IReadOnlyList<string> Values => _values;

    /// <summary>A series' values: the pod's, and then the family's own.</summary>
    internal string[] With(params ReadOnlySpan<string> others) => [.. _values, .. others];

    public bool Equals(LabelValues? other) => other is not null && _values.AsSpan().SequenceEqual(other._values);

    public override bool Equals(object? obj) => Equals(obj as LabelValues);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var value in _values)
        {
            hash.Add(value, StringComparer.Ordinal);
        }
        return hash.ToHashCode();
    }
}
