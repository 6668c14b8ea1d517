using System.Runtime.InteropServices;

// The types of bpf/include/loss.h.
namespace Exporter.Signals;

/// <summary>LOSS_*: why a packet could not be counted.</summary>
public enum LossReason
{
    /// <summary>More interfaces had traffic between two drains than the map has entries (Bpf:MaxInterfaces).</summary>
    MapFull,

    /// <summary>The CPU already held the lock of the map's bucket: the packet came in the middle of a map operation.</summary>
    MapBusy,

    /// <summary>Any other error of a map operation.</summary>
    MapError,
}

/// <summary>struct loss: packets that were not counted, and their bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct Loss(ulong Packets, ulong Bytes);
