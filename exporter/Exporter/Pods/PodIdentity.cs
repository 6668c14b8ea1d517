using Exporter.Bpf.Netlink;

namespace Exporter.Pods;

/// <summary>A pod by the labels that its series carry.</summary>
internal readonly record struct PodIdentity(string Namespace, string Name);

/// <summary>Says which pod an interface belongs to. Asked by the reconciler only.</summary>
internal interface IPodSource
{
    /// <summary>Brings what is known up to date; once for each round of <see cref="Identify"/>.</summary>
    void Refresh();

    /// <summary>Null where it is not known yet.</summary>
    PodIdentity? Identify(Link link);
}
