using Exporter.Bpf.Netlink;

namespace Exporter.Pods;

/// <summary>A pod by the labels that its series carry.</summary>
internal readonly record struct PodIdentity(string Namespace, string Name)
{
    /// <summary>Stands for the host's own network namespace, and all pods that use it.</summary>
    internal static PodIdentity Host { get; } = new("__host__", "__host__");
}

/// <summary>Says which pod an interface belongs to. Asked by the reconciler only.</summary>
internal interface IPodSource
{
    /// <summary>Brings what is known up to date; once for each round of <see cref="Identify"/>.</summary>
    void Refresh();

    /// <summary>Null where it is not known yet.</summary>
    PodIdentity? Identify(Link link);
}
