using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>A pod with one address. Times are since the traffic's begin.</summary>
internal sealed class GoldenPod(int node, string space, string name, string workload, string kind, string address)
{
    internal int Node { get; } = node;

    internal FlowAddress Address { get; } = FlowAddress.Parse(address);

    /// <summary>When it has its address.</summary>
    internal TimeSpan From { get; init; } = -TimeSpan.FromMinutes(30);

    internal TimeSpan Until { get; init; } = TimeSpan.MaxValue;

    internal RecordEnd Names { get; } = new() { Namespace = space, Pod = name, Workload = workload, WorkloadKind = kind };

    /// <summary>The number of its interface on the node.</summary>
    internal int Generation { get; init; }
}
