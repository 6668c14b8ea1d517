namespace Exporter.Pods;

/// <summary>What the exporter does with an interface of a pod.</summary>
internal enum InterfaceState
{
    /// <summary>Found, not attached yet.</summary>
    Pending,

    /// <summary>Counted.</summary>
    Attached,

    /// <summary>Attaching failed; it is tried again.</summary>
    Failed,

    /// <summary>Attached, but its packets do not reach the programs.</summary>
    Shadowed,
}
