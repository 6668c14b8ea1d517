using Exporter.Metrics;
using Prometheus;

namespace Exporter.Signals.Traffic;

/// <summary>The families of packets that the programs could not count.</summary>
internal sealed class TrafficLosses
{
    /// <summary>By <see cref="LossReason"/>.</summary>
    private static readonly MetricLabel Reason = new("reason", "map_full", "map_busy", "map_error");

    private static readonly MetricDefinition LostPackets = new(
        MetricType.Counter, "podnet_exporter_lost_packets_total", "packets", "Packets that the programs saw and could not count.", Reason)
    {
        Query = "sum by (instance, reason) (rate(podnet_exporter_lost_packets_total[5m])) > 0",
        Details = "map_full: raise `Bpf:MaxInterfaces`.",
    };

    private static readonly MetricDefinition LostBytes = new(MetricType.Counter, "podnet_exporter_lost_bytes_total", "bytes", "The bytes of the lost packets.", Reason)
    {
        Query = "sum by (instance) (rate(podnet_exporter_lost_bytes_total[5m])) > 0",
    };

    private readonly Counter _packets;
    private readonly Counter _bytes;

    public TrafficLosses(IMetricFactory metrics)
    {
        (_packets, _bytes) = (LostPackets.CreateCounter(metrics), LostBytes.CreateCounter(metrics));
        foreach (var reason in Enum.GetValues<LossReason>())
        {
            Set(reason, default);
        }
    }

    internal static IReadOnlyList<MetricDefinition> Families => [LostPackets, LostBytes];

    /// <param name="total">Since the programs were loaded.</param>
    internal void Set(LossReason reason, Loss total)
    {
        var label = Reason.Values[(int)reason];
        _packets.WithLabels(label).IncTo(total.Packets);
        _bytes.WithLabels(label).IncTo(total.Bytes);
    }
}
