using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Bpf;

// The types of bpf/tc/pod_traffic.h, field by field. ContractTests compares them with the BTF of the built object.
namespace Exporter.Signals.Traffic;

/// <summary>TRAFFIC_*: the transport protocols that are counted apart.</summary>
public enum Transport
{
    Tcp,
    Udp,
    Icmp,
    Sctp,
    Other,
}

/// <summary>struct traffic_key.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct TrafficKey(int Ifindex);

/// <summary>
/// struct traffic_count: packets and bytes as the interface's own counters count them (skbs and their length with the
/// Ethernet header), segments as the wire would carry them.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct TrafficCount(ulong Packets, ulong Bytes, ulong Segments)
{
    public static TrafficCount operator +(TrafficCount left, TrafficCount right) =>
        new(left.Packets + right.Packets, left.Bytes + right.Bytes, left.Segments + right.Segments);
}

/// <summary>struct traffic_size: segments of one range of lengths, and the sum of their lengths.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct TrafficSize(ulong Segments, ulong Bytes)
{
    /// <summary>TRAFFIC_SIZE_BOUNDS: the ranges' upper bounds in bytes, inclusive; the last range has none.</summary>
    public static ReadOnlySpan<int> Bounds => [64, 128, 256, 512, 1024, 1518, 9018];
}

/// <summary>struct traffic_direction.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TrafficDirection
{
    /// <summary>Indexed by <see cref="Transport"/>.</summary>
    public TrafficCounts Transports;

    /// <summary>One for each of <see cref="TrafficSize.Bounds"/> and one above.</summary>
    public TrafficSizes Sizes;

    /// <summary>Over all transports.</summary>
    public readonly TrafficCount Total
    {
        get
        {
            var total = default(TrafficCount);
            foreach (var count in (ReadOnlySpan<TrafficCount>)Transports)
            {
                total += count;
            }
            return total;
        }
    }
}

/// <summary>struct traffic_value: what one interface's pod transmitted and received.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TrafficValue
{
    public TrafficDirection Transmit;
    public TrafficDirection Receive;

    /// <summary>The counters by names that stay the same whatever is added to the structure.</summary>
    public static RowFields Fields { get; } = new("traffic",
    [
        .. from direction in (string[])["transmit", "receive"]
           from counter in (IEnumerable<string>)
           [
               .. from transport in Enum.GetNames<Transport>()
                  from unit in (string[])["packets", "bytes", "segments"]
                  select $"{transport.ToLowerInvariant()}.{unit}",
               .. from bound in (IEnumerable<string>)[.. TrafficSize.Bounds.ToArray().Select(bound => bound.ToString(System.Globalization.CultureInfo.InvariantCulture)), "larger"]
                  from unit in (string[])["segments", "bytes"]
                  select $"{bound}.{unit}",
           ]
           select $"{direction}.{counter}",
    ]);
}

/// <summary>TRAFFIC_TRANSPORTS counts.</summary>
[InlineArray(5)]
internal struct TrafficCounts
{
    private TrafficCount _first;
}

/// <summary>TRAFFIC_SIZES ranges.</summary>
[InlineArray(8)]
internal struct TrafficSizes
{
    private TrafficSize _first;
}
