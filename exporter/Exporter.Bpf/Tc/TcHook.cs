namespace Exporter.Bpf.Tc;

/// <summary>The two places where TC runs programs, from the interface's point of view.</summary>
public enum TcDirection
{
    /// <summary>What comes into the interface: what the pod behind a veth transmits.</summary>
    Ingress,

    /// <summary>What goes out of the interface: what the pod behind a veth receives.</summary>
    Egress,
}

/// <summary>A way to have the kernel run the traffic programs on an interface. Used by one thread at a time.</summary>
public abstract class TcHook
{
    /// <summary>As the option and the metrics spell it.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// Whether attaching holds the RTNL lock for an RCU grace period. Somebody who attaches many in a row then has to leave the lock
    /// to others in between.
    /// </summary>
    public virtual bool HoldsLockLong => false;

    /// <summary>Attaches one of the programs. Whatever others attached stays as it is.</summary>
    /// <returns>Detaches when disposed; null where the interface is gone.</returns>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public abstract IDisposable? TryAttach(int ifindex, TcDirection direction);

    /// <summary>Whether both programs are (still) attached: somebody else may have removed them.</summary>
    public abstract bool IsAttached(int ifindex);
}
