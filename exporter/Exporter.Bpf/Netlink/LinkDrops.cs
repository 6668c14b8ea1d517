using System.Runtime.InteropServices;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>
/// The packets that an interface received and that got no further, by the place where (struct rtnl_link_stats64 of linux/if_link.h). Which of them a
/// driver counts, and whether one packet is in two of them, is the driver's choice. 0 where an older kernel does not have the counter.
/// </summary>
/// <param name="Missed">rx_missed_errors: dropped by the device for lack of buffers, since the host did not keep up.</param>
/// <param name="NoBuffer">rx_fifo_errors: overflows of the device's queue.</param>
/// <param name="Errors">rx_errors: bad packets, of any length, checksum or frame error.</param>
/// <param name="NoHandler">rx_nohandler: for an interface that is not to receive, such as a bond's backup (since Linux 4.6).</param>
/// <param name="Backlog">rx_dropped: dropped by the network stack, for a full backlog or a protocol that it does not know.</param>
public readonly record struct LinkDrops(ulong Missed, ulong NoBuffer, ulong Errors, ulong NoHandler, ulong Backlog)
{
    private const int ReceiveErrors = 4;
    private const int ReceiveDropped = 6;
    private const int ReceiveFifoErrors = 14;
    private const int ReceiveMissedErrors = 15;
    private const int ReceiveNoHandler = 23;

    internal static LinkDrops? Parse(in NetlinkMessage message)
    {
        var attributes = message.Attributes<IfStatsMessage>();
        while (attributes.TryRead(out var attribute))
        {
            if (attribute.Type == IFLA_STATS_LINK_64)
            {
                var counters = MemoryMarshal.Cast<byte, ulong>(attribute.Value);
                return new(
                    At(counters, ReceiveMissedErrors),
                    At(counters, ReceiveFifoErrors),
                    At(counters, ReceiveErrors),
                    At(counters, ReceiveNoHandler),
                    At(counters, ReceiveDropped));
            }
        }
        return null;
    }

    private static ulong At(ReadOnlySpan<ulong> counters, int index) => index < counters.Length ? counters[index] : 0;
}
