using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;

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

    /// <summary>Handshakes of both sides.</summary>
    internal static HandshakeValue Handshakes(HandshakeRole client = default, HandshakeRole server = default) => new() { Client = client, Server = server };

    /// <summary>Completed handshakes, each in the first range whose bound is not less than its duration, as the programs have them.</summary>
    internal static HandshakeRole Completed(IReadOnlyList<ulong> bounds, params IEnumerable<ulong> nanoseconds)
    {
        var role = default(HandshakeRole);
        foreach (var duration in nanoseconds)
        {
            ref var range = ref role.Durations[bounds.TakeWhile(bound => duration > bound).Count()];
            range = new(range.Handshakes + 1, range.Nanoseconds + duration);
        }
        return role;
    }

    internal static HandshakeRole Failed(HandshakeFailure reason, ulong handshakes = 1)
    {
        var role = default(HandshakeRole);
        role.Failures[(int)reason] = handshakes;
        return role;
    }

    internal static HandshakeRole Resent(ulong retransmits) => new() { Retransmits = retransmits };

    internal static HandshakeRole Both(HandshakeRole one, HandshakeRole other)
    {
        var sum = Handshakes(one);
        sum.Add(Handshakes(other));
        return sum.Client;
    }

    /// <summary>A completed handshake of each side, a failed one for each reason, and one that was sent again.</summary>
    internal static HandshakeValue Everything
    {
        get
        {
            var role = Both(Completed([1_000_000_000], 5), Resent(1));
            foreach (var reason in Enum.GetValues<HandshakeFailure>())
            {
                role = Both(role, Failed(reason));
            }
            return Handshakes(role, role);
        }
    }
}
