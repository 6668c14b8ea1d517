namespace Exporter.Pods;

/// <summary>The state of an interface of a pod: whether programs are attached, and see its packets.</summary>
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
