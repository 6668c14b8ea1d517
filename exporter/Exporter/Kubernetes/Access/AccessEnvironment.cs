namespace Exporter.Kubernetes.Access;

/// <summary>Environment variables, and the directory that the kubelet mounts into a pod.</summary>
/// <param name="Variables">Returns null for a variable that is not set.</param>
internal sealed record AccessEnvironment(Func<string, string?> Variables, string ServiceAccountDirectory)
{
    internal static AccessEnvironment OfProcess { get; } = new(Environment.GetEnvironmentVariable, "/var/run/secrets/kubernetes.io/serviceaccount");

    /// <summary>The value of the first variable that is set and not empty; empty if there is none.</summary>
    internal string this[params ReadOnlySpan<string> names]
    {
        get
        {
            foreach (var name in names)
            {
                if (Variables(name) is { Length: > 0 } value)
                {
                    return value;
                }
            }
            return "";
        }
    }
}
