using Exporter.Options;

namespace Exporter.Pods;

/// <summary>The source of pods, and how long counts wait for them.</summary>
internal sealed record IdentityOptions(IdentityChoice Source, TimeSpan HoldFor)
{
    internal static IdentityOptions Read(OptionReader reader) => new(
        reader.Choice(
            "Identity:Source",
            IdentityChoice.Auto,
            "Source of pods: kubernetes is the API server; standalone, the names of network namespaces; auto is kubernetes in a pod and where Kubernetes:Kubeconfig is set, else standalone."),
        reader.Duration(
            "Identity:HoldFor",
            TimeSpan.FromSeconds(30),
            TimeSpan.Zero,
            TimeSpan.FromHours(1),
            "How long traffic of an interface waits for its pod to be identified; then it is counted as unattributed.",
            isLive: true,
            previous: "Identity:Wait"));
}
