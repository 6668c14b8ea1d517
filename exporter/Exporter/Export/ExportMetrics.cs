using Exporter.Metrics;
using Exporter.Options;
using Prometheus;

namespace Exporter.Export;

/// <summary>The exporter's families about one sink.</summary>
internal sealed class ExportMetrics
{
    private static readonly MetricLabel Sink = new("sink", ExportOptions.Known);

    private static readonly MetricDefinition AcknowledgedFamily = new(
        MetricType.Counter, "podnet_exporter_sink_acknowledged_records_total", "records", "Records that a sink has acknowledged, of all kinds.", Sink)
    {
        Query = "rate(podnet_exporter_sink_acknowledged_records_total[5m])",
        Details = "file: the write returned, or the fsync with File:Sync; stdout: the write returned; kafka: all replicas in sync have it; elasticsearch: they are in their index.",
    };

    private static readonly MetricDefinition RetriedFamily = new(
        MetricType.Counter, "podnet_exporter_sink_retried_records_total", "records", "Records that were handed to a sink once more, since it had not taken them, or that it sent once more; each time counts.", Sink)
    {
        Query = "rate(podnet_exporter_sink_retried_records_total[5m]) > 0",
    };

    private static readonly MetricDefinition RejectedFamily = new(
        MetricType.Counter, "podnet_exporter_sink_rejected_records_total", "records", "Records that a sink's other end does not accept and that are not sent again, of all kinds.", Sink)
    {
        Query = "increase(podnet_exporter_sink_rejected_records_total[1h]) > 0",
    };

    private static readonly MetricDefinition LostFamily = new(
        MetricType.Counter,
        "podnet_exporter_flow_records_lost_total",
        "records",
        "Flow and rest records that a sink did not get, by the reason; as the interval records of that sink have it.",
        Sink,
        new MetricLabel("reason", [.. SinkCounts.Reasons.Select(EnumText.Lower)]))
    {
        Query = "sum by (instance, sink, reason) (increase(podnet_exporter_flow_records_lost_total[1h])) > 0",
        Details = "backpressure: Export:MaxMemory was used up, and this sink was the slowest; rejected: its other end does not accept them; shutdown: unsent at the end; crash: unsent at a kill, at most; changed: options changed before they were sent again.",
    };

    private static readonly MetricDefinition QueueFamily = new(
        MetricType.Gauge, "podnet_exporter_sink_queue_bytes", "bytes", "Lines that a sink has not acknowledged.", Sink)
    {
        Query = "podnet_exporter_sink_queue_bytes > 16e6",
        Details = "Updated once a second. Sinks share the lines' memory, which Export:MaxMemory bounds.",
    };

    private static readonly MetricDefinition OldestFamily = new(
        MetricType.Gauge, "podnet_exporter_sink_oldest_seconds", "seconds", "Age of the oldest line that a sink has not acknowledged; 0: there is none.", Sink)
    {
        Query = "podnet_exporter_sink_oldest_seconds > 60",
        Details = "Updated once a second.",
    };

    private static readonly MetricDefinition UpFamily = new(
        MetricType.Gauge, "podnet_exporter_sink_up", "0 or 1", "0 while a sink takes no records: its last write failed, or lasts more than 10 s.", Sink)
    {
        Query = "podnet_exporter_sink_up == 0",
    };

    private readonly Counter.Child _acknowledged;
    private readonly Counter.Child _retried;
    private readonly Counter.Child _rejected;
    private readonly Counter.Child[] _lost;
    private readonly Gauge.Child _queue;
    private readonly Gauge.Child _oldest;
    private readonly Gauge.Child _up;

    internal ExportMetrics(IMetricFactory metrics, string sink)
    {
        _acknowledged = AcknowledgedFamily.CreateCounter(metrics).WithLabels(sink);
        _retried = RetriedFamily.CreateCounter(metrics).WithLabels(sink);
        _rejected = RejectedFamily.CreateCounter(metrics).WithLabels(sink);
        var lost = LostFamily.CreateCounter(metrics);
        _lost = [.. SinkCounts.Reasons.Select(reason => lost.WithLabels(sink, EnumText.Lower(reason)))];
        _queue = QueueFamily.CreateGauge(metrics).WithLabels(sink);
        _oldest = OldestFamily.CreateGauge(metrics).WithLabels(sink);
        _up = UpFamily.CreateGauge(metrics).WithLabels(sink);
        ShowUp(true);
    }

    internal static IReadOnlyList<MetricDefinition> Families => [AcknowledgedFamily, RetriedFamily, RejectedFamily, LostFamily, QueueFamily, OldestFamily, UpFamily];

    internal void CountSettled(RecordBatch batch)
    {
        _acknowledged.Inc(batch.Count - batch.Rejected);
        _rejected.Inc(batch.Rejected);
        _retried.Inc(batch.Resent);
    }

    internal void CountRetried(RecordBatch batch) => _retried.Inc(batch.Count);

    internal void ShowUp(bool isUp) => _up.Set(isUp ? 1 : 0);

    /// <summary>Shows what the reader has by now.</summary>
    internal void Show(ExportReader reader)
    {
        var counts = reader.Counts;
        foreach (var reason in SinkCounts.Reasons)
        {
            _lost[(int)reason].IncTo(counts.LostBy(reason));
        }
        _queue.Set(reader.QueueBytes);
        _oldest.Set(reader.OldestAge.TotalSeconds);
    }

    /// <summary>Removes the gauges of a sink that is there no more.</summary>
    internal void Remove()
    {
        _queue.Unpublish();
        _oldest.Unpublish();
        _up.Unpublish();
    }
}
