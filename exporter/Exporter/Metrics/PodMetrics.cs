using Exporter.Bpf.Contract;
using Exporter.Options;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>
/// The families with one series or more for each pod. A pod's series live from its first interface to some time after its last.
/// </summary>
internal sealed class PodMetrics
{
    private readonly TrafficFamilies _transmit;
    private readonly TrafficFamilies _receive;
    private readonly HandshakeFamilies _handshakes;
    private readonly TimeProvider _time;
    private readonly TimeSpan _retention;
    private readonly TotalCounts _excluded;
    private readonly PodLabels _labels;
    private readonly Dictionary<LabelValues, PodSeries> _pods = [];

    /// <summary>Taken when pods come, go and expire; never while counting.</summary>
    private readonly Lock _lock = new();

    public PodMetrics(
        IMetricFactory metrics, ExporterMetrics exporterMetrics, TimeProvider time, PodLabels labels, MetricsOptions options, HandshakeOptions handshakeOptions)
    {
        _excluded = exporterMetrics.Excluded;
        _labels = labels;
        _time = time;
        _retention = options.Retention;
        var sizes = metrics.CreateHistogram(
            "podnet_packet_size_bytes",
            "Lengths of packets as the wire would carry them, Ethernet header included.",
            [.. labels.Names, "direction"],
            new HistogramConfiguration { Buckets = [.. TrafficSize.Bounds.ToArray().Select(bound => (double)bound)] });
        _transmit = new(metrics, "transmit", "sent by", labels.Names, sizes);
        _receive = new(metrics, "receive", "delivered to", labels.Names, sizes);
        _handshakes = new(metrics, labels.Names, handshakeOptions.Buckets);
    }

    /// <summary>How many sample lines the pods' series have.</summary>
    internal int SeriesCount
    {
        get
        {
            lock (_lock)
            {
                return _pods.Values.Sum(pod => pod.SeriesCount);
            }
        }
    }

    /// <summary>
    /// The pod's series, made or kept alive for one more interface, or the total of those that have none; ends with <see cref="Release"/>.
    /// </summary>
    internal IPodCounts Acquire(PodIdentity pod) => pod.IsExcluded ? _excluded : Acquire(pod.Labels, hasTraffic: true);

    /// <summary>The series of the host's own namespace, which has handshakes, and no interface whose traffic is counted.</summary>
    internal PodSeries AcquireHost() => Acquire(_labels.Host.Labels, hasTraffic: false);

    private PodSeries Acquire(LabelValues pod, bool hasTraffic)
    {
        lock (_lock)
        {
            if (!_pods.TryGetValue(pod, out var series))
            {
                DirectionSeries? Direction(TrafficFamilies families) => hasTraffic ? new(families, pod) : null;
                _pods[pod] = series = new(pod, Direction(_transmit), Direction(_receive), _handshakes);
            }
            series.Interfaces++;
            return series;
        }
    }

    /// <summary>One interface less; after the last the series stay for the retention.</summary>
    internal void Release(IPodCounts counts)
    {
        if (counts is not PodSeries series)
        {
            return;
        }
        lock (_lock)
        {
            series.Interfaces--;
            series.ReleasedAt = _time.GetTimestamp();
        }
    }

    /// <summary>Removes the series of pods that are gone for longer than the retention.</summary>
    internal void RemoveExpired()
    {
        lock (_lock)
        {
            foreach (var series in _pods.Values.Where(pod => pod.Interfaces == 0 && _time.GetElapsedTime(pod.ReleasedAt) >= _retention).ToList())
            {
                _pods.Remove(series.Pod);
                series.Remove();
            }
        }
    }
}

/// <summary>A pod's series. Counting into it is for the drain alone; its lifetime is <see cref="PodMetrics"/>'s business.</summary>
/// <param name="transmit">Null where only handshakes are counted.</param>
/// <param name="receive">As <paramref name="transmit"/>.</param>
internal sealed class PodSeries(LabelValues pod, DirectionSeries? transmit, DirectionSeries? receive, HandshakeFamilies handshakes) : IPodCounts
{
    private readonly HandshakeSeries _client = new(handshakes, pod, "client");
    private readonly HandshakeSeries _server = new(handshakes, pod, "server");

    internal LabelValues Pod { get; } = pod;

    internal int Interfaces { get; set; }

    internal long ReleasedAt { get; set; }

    internal int SeriesCount => (transmit?.SeriesCount ?? 0) + (receive?.SeriesCount ?? 0) + _client.SeriesCount + _server.SeriesCount;

    /// <summary>Adds what was counted. Allocates only for a transport's first packet.</summary>
    public void Add(in TrafficValue traffic)
    {
        transmit?.Add(traffic.Transmit);
        receive?.Add(traffic.Receive);
    }

    /// <summary>Adds what was counted. Allocates only for a role's first handshake, failure of a kind or retransmission.</summary>
    public void Add(in HandshakeValue handshakes)
    {
        _client.Add(handshakes.Client);
        _server.Add(handshakes.Server);
    }

    internal void Remove()
    {
        transmit?.Remove();
        receive?.Remove();
        _client.Remove();
        _server.Remove();
    }
}

/// <summary>The families of one direction.</summary>
internal sealed class TrafficFamilies(IMetricFactory metrics, string direction, string verb, IReadOnlyList<string> podLabels, Histogram sizes)
{
    internal string Direction => direction;

    internal Counter Bytes { get; } = metrics.CreateCounter(
        $"podnet_{direction}_bytes_total", $"Bytes {verb} the pod, Ethernet headers included, as its interface counts them.", [.. podLabels, "transport"]);

    internal Counter Packets { get; } = metrics.CreateCounter(
        $"podnet_{direction}_packets_total", $"Packets {verb} the pod as its interface counts them: one may stand for many on the wire.", [.. podLabels, "transport"]);

    internal Counter Segments { get; } = metrics.CreateCounter(
        $"podnet_{direction}_segments_total", $"Packets {verb} the pod as the wire would carry them.", [.. podLabels, "transport"]);

    internal Histogram Sizes => sizes;
}

/// <summary>A pod's series of one direction. A transport's series come with its first packet.</summary>
internal sealed class DirectionSeries(TrafficFamilies families, LabelValues pod)
{
    /// <summary>As OpenTelemetry's network.transport has it, by <see cref="Transport"/>.</summary>
    private static readonly string[] TransportLabels = ["tcp", "udp", "icmp", "sctp", "other"];

    private readonly TransportSeries?[] _transports = new TransportSeries?[TransportLabels.Length];
    private readonly Histogram.Child _sizes = families.Sizes.WithLabels(pod.With(families.Direction));

    /// <summary>Sample lines: three for each transport; the histogram's buckets, the infinite one, sum and count.</summary>
    internal int SeriesCount => (_transports.Count(transport => transport is not null) * 3) + TrafficSize.Bounds.Length + 3;

    internal void Add(in TrafficDirection traffic)
    {
        for (var transport = 0; transport < _transports.Length; transport++)
        {
            ref readonly var count = ref traffic.Transports[transport];
            if (count.Packets > 0)
            {
                (_transports[transport] ??= new(families, pod, TransportLabels[transport])).Add(count);
            }
        }
        foreach (ref readonly var size in (ReadOnlySpan<TrafficSize>)traffic.Sizes)
        {
            if (size.Segments > 0)
            {
                // The mean of a bucket lies in that bucket. Whole numbers around it, so that counts and sum both come out exact.
                var (mean, larger) = Math.DivRem(size.Bytes, size.Segments);
                _sizes.Observe(mean, (long)(size.Segments - larger));
                if (larger > 0)
                {
                    _sizes.Observe(mean + 1, (long)larger);
                }
            }
        }
    }

    internal void Remove()
    {
        foreach (var transport in _transports)
        {
            transport?.Remove();
        }
        _sizes.Remove();
    }

    private sealed class TransportSeries(TrafficFamilies families, LabelValues pod, string transport)
    {
        private readonly Counter.Child _bytes = families.Bytes.WithLabels(pod.With(transport));
        private readonly Counter.Child _packets = families.Packets.WithLabels(pod.With(transport));
        private readonly Counter.Child _segments = families.Segments.WithLabels(pod.With(transport));

        internal void Add(in TrafficCount count)
        {
            _bytes.Inc(count.Bytes);
            _packets.Inc(count.Packets);
            _segments.Inc(count.Segments);
        }

        internal void Remove()
        {
            _bytes.Remove();
            _packets.Remove();
            _segments.Remove();
        }
    }
}
