namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>The steps of a drain between which a process can be killed.</summary>
public enum DrainStep
{
    /// <summary>Nothing is killed.</summary>
    None,

    /// <summary>The maps are swapped and the rows are read.</summary>
    Read,

    /// <summary>The rows are in the ledger.</summary>
    Committed,

    /// <summary>The observers have seen the rows, which stay in the kernel.</summary>
    Kept,

    /// <summary>The rows are about to be removed from the kernel.</summary>
    Releasing,

    /// <summary>The rows are removed.</summary>
    Released,
}
