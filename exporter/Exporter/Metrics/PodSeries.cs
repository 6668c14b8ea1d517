using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.State;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>The pods' families at one level.</summary>
internal sealed class LevelFamilies
{
    private readonly TrafficFamilies? _transmit;
    private readonly TrafficFamilies? _receive;
    private readonly HandshakeFamilies? _handshakes;

    /// <param name="labels">The names of the labels that series of this level begin with.</param>
    internal LevelFamilies(IMetricFactory metrics, LevelPlan plan, IReadOnlyList<string> labels)
    {
        if (plan.HasTraffic || plan.HasSegments || plan.HasSizes)
        {
            var sizes = plan.HasSizes ? PodFamilies.PacketSizes.CreateHistogram(metrics, labels) : null;
            Counter? If(bool isWanted, MetricDefinition family) => isWanted ? family.CreateCounter(metrics, labels) : null;
            _transmit = new(
                PodFamilies.TransmitDirection,
                If(plan.HasTraffic, PodFamilies.TransmitBytes),
                If(plan.HasTraffic, PodFamilies.TransmitPackets),
                If(plan.HasSegments, PodFamilies.TransmitSegments),
                sizes);
            _receive = new(
                PodFamilies.ReceiveDirection,
                If(plan.HasTraffic, PodFamilies.ReceiveBytes),
                If(plan.HasTraffic, PodFamilies.ReceivePackets),
                If(plan.HasSegments, PodFamilies.ReceiveSegments),
                sizes);
        }
        _handshakes = plan.Durations is not { } durations
            ? null
            : new(
                durations.CreateHistogram(metrics, labels),
                PodFamilies.HandshakeFailures.CreateCounter(metrics, labels),
                PodFamilies.HandshakeRetransmits.CreateCounter(metrics, labels),
                durations.Bounds);
    }

    /// <param name="hasTraffic">Else handshakes alone.</param>
    internal PodSeries Create(LabelValues pod, bool hasTraffic) => new(pod, hasTraffic ? _transmit : null, hasTraffic ? _receive : null, _handshakes);
}

/// <summary>The series of one pod, workload or namespace at one level, which show what is in its record.</summary>
/// <param name="transmit">Null where this is not counted, as <paramref name="receive"/> and <paramref name="handshakes"/>.</param>
internal sealed class PodSeries(LabelValues pod, TrafficFamilies? transmit, TrafficFamilies? receive, HandshakeFamilies? handshakes) : ILedgerView
{
    private readonly DirectionSeries? _transmit = transmit is null ? null : new(transmit, pod);
    private readonly DirectionSeries? _receive = receive is null ? null : new(receive, pod);
    private readonly HandshakeSeries? _client = handshakes is null ? null : new(handshakes, pod, PodFamilies.Client);
    private readonly HandshakeSeries? _server = handshakes is null ? null : new(handshakes, pod, PodFamilies.Server);

    internal int Lines => (_transmit?.Lines ?? 0) + (_receive?.Lines ?? 0) + (_client?.Lines ?? 0) + (_server?.Lines ?? 0);

    /// <summary>Adds what was counted. Allocates only for a transport's first packet.</summary>
    public void Show(in TrafficValue traffic)
    {
        _transmit?.Add(traffic.Transmit);
        _receive?.Add(traffic.Receive);
    }

    /// <summary>Adds what was counted. Allocates only for a role's first handshake, failure of a kind or retransmission.</summary>
    public void Show(in HandshakeValue handshakes)
    {
        _client?.Add(handshakes.Client);
        _server?.Add(handshakes.Server);
    }

    public void Restore(in LedgerCounts counts)
    {
        Show(counts.Traffic);
        _client?.Restore(counts.Handshakes.Client);
        _server?.Restore(counts.Handshakes.Server);
    }

    /// <summary>Takes the series away.</summary>
    internal void Remove()
    {
        _transmit?.Remove();
        _receive?.Remove();
        _client?.Remove();
        _server?.Remove();
    }
}
