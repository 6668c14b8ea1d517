namespace Exporter.Pods;

/// <summary>A pod that the source knows of.</summary>
internal sealed record KnownPod(PodIdentity Identity, string Phase, bool HostNetwork, IReadOnlyList<System.Net.IPAddress> Addresses);
