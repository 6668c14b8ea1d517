using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Attach;

/// <summary>
/// One of the programs, attached to an interface. Disposing detaches it. Without that, a pinned attachment stays, and any other ends with the
/// process.
/// </summary>
public abstract class TcAttachment(int ifindex, TcDirection direction) : IDisposable
{
    public int Ifindex => ifindex;

    public TcDirection Direction => direction;

    /// <summary>Why it is not pinned although it should be, and ends with the process; null where all is well.</summary>
    public string? PinProblem { get; init; }

    /// <summary>Puts the program that is loaded now in the place of the one that is attached, in one step: no packet is missed or seen by both.</summary>
    /// <exception cref="BpfException">The kernel refused; the previous program keeps running.</exception>
    public abstract void Renew();

    /// <summary>False where somebody has removed the pin; true where it is there, or none is to be made.</summary>
    public abstract bool IsPinned { get; }

    /// <summary>Pins it again.</summary>
    /// <exception cref="PinException">It cannot be pinned.</exception>
    public abstract void Pin();

    /// <summary>Detaches.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public abstract void Dispose();
}
