using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>The families of one direction at one level. Null is what is not counted there.</summary>
internal sealed record TrafficFamilies(string Direction, Counter? Bytes, Counter? Packets, Counter? Segments, Histogram? Sizes);

/// <summary>A pod's series of one direction. A transport's series come with its first packet.</summary>
internal sealed class DirectionSeries(TrafficFamilies families, LabelValues pod)
{
    private static readonly IReadOnlyList<string> TransportLabels = PodFamilies.Transport.Values;

    private readonly TransportSeries?[] _transports = new TransportSeries?[TransportLabels.Count];
    private readonly Histogram.Child? _sizes = families.Sizes?.WithLabels(pod.With(families.Direction));

    /// <summary>Sample lines: those of each transport; the histogram's buckets, the infinite one, sum and count.</summary>
    internal int Lines
    {
        get
        {
            var lines = _sizes is null ? 0 : TrafficSize.Bounds.Length + 3;
            foreach (var transport in _transports)
            {
                lines += transport?.Lines ?? 0;
            }
            return lines;
        }
    }

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
        if (_sizes is not null)
        {
            Add(_sizes, traffic.Sizes);
        }
    }

    internal void Remove()
    {
        foreach (var transport in _transports)
        {
            transport?.Remove();
        }
        _sizes?.Remove();
    }

    private static void Add(Histogram.Child histogram, ReadOnlySpan<TrafficSize> sizes)
    {
        foreach (ref readonly var size in sizes)
        {
            if (size.Segments > 0)
            {
                // The mean of a bucket lies in that bucket. Whole numbers around it, so that counts and sum both come out exact.
                var (mean, larger) = Math.DivRem(size.Bytes, size.Segments);
                histogram.Observe(mean, (long)(size.Segments - larger));
                if (larger > 0)
                {
                    histogram.Observe(mean + 1, (long)larger);
                }
            }
        }
    }

    private sealed class TransportSeries(TrafficFamilies families, LabelValues pod, string transport)
    {
        private readonly Counter.Child? _bytes = families.Bytes?.WithLabels(pod.With(transport));
        private readonly Counter.Child? _packets = families.Packets?.WithLabels(pod.With(transport));
        private readonly Counter.Child? _segments = families.Segments?.WithLabels(pod.With(transport));

        internal int Lines => (_bytes is null ? 0 : 1) + (_packets is null ? 0 : 1) + (_segments is null ? 0 : 1);

        internal void Add(in TrafficCount count)
        {
            _bytes?.Inc(count.Bytes);
            _packets?.Inc(count.Packets);
            _segments?.Inc(count.Segments);
        }

        internal void Remove()
        {
            _bytes?.Remove();
            _packets?.Remove();
            _segments?.Remove();
        }
    }
}
