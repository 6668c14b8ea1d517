using Exporter.Bpf.Contract;

namespace Exporter.Tests.Support;

/// <summary>Values as the kernel hands them out, from the pod's point of view.</summary>
internal static class Counted
{
    internal static TrafficValue Sent(ulong packets, ulong bytes, ulong segments = 0, Transport transport = Transport.Tcp)
    {
        var value = default(TrafficValue);
        value.Transmit.Transports[(int)transport] = new(packets, bytes, segments);
        return value;
    }

    internal static TrafficValue Delivered(ulong packets, ulong bytes, ulong segments = 0, Transport transport = Transport.Tcp)
    {
        var value = default(TrafficValue);
        value.Receive.Transports[(int)transport] = new(packets, bytes, segments);
        return value;
    }

    internal static TrafficValue Both(TrafficValue one, TrafficValue other)
    {
        one.Add(other);
        return one;
    }

    /// <summary>Segments and bytes for each range of lengths in turn.</summary>
    internal static TrafficDirection Sizes(params (ulong Segments, ulong Bytes)[] ranges)
    {
        var direction = default(TrafficDirection);
        for (var range = 0; range < ranges.Length; range++)
        {
            direction.Sizes[range] = new(ranges[range].Segments, ranges[range].Bytes);
        }
        return direction;
    }
}
