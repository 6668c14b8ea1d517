using Exporter.Metrics;
using Exporter.Records;
using Prometheus;

namespace Exporter.Signals.Flows;

/// <summary>The families about flow records.</summary>
internal sealed class FlowMetrics
{
    private static readonly MetricLabel Reason = new("reason", [.. RestCounts.Reasons.Select(RecordText.Name)]);

    private static readonly MetricDefinition RecordsFamily = new(
        MetricType.Counter, "podnet_exporter_flow_records_total", "records", "Flow and rest records made of the counted flows.", new MetricLabel("dataset", "flow", "rest"))
    {
        Query = "sum by (instance) (rate(podnet_exporter_flow_records_total[5m]))",
    };

    private static readonly MetricDefinition UnrecordedPacketsFamily = new(
        MetricType.Counter, "podnet_exporter_flow_unrecorded_packets_total", "packets", "Packets of pods that are in no flow record, by the reason that their rest record has.", Reason)
    {
        Query = "sum by (instance, reason) (rate(podnet_exporter_flow_unrecorded_packets_total[5m])) > 0",
        Details = "map_full: raise `Flows:MaxFlows`; pod_full: one pod has more flows than `Flows:MaxFlowsPerPod` allows; sampled: `Flows:Sampling`; not_ip: neither IPv4 nor IPv6; merged: more flows than `Flows:MaxRecordsPerSecond` allows, of which a sample has records; backpressure: the sinks are too slow.",
    };

    private static readonly MetricDefinition UnrecordedBytesFamily = new(
        MetricType.Counter, "podnet_exporter_flow_unrecorded_bytes_total", "bytes", "The bytes of the unrecorded packets.", Reason)
    {
        Query = "sum by (instance) (rate(podnet_exporter_flow_unrecorded_bytes_total[5m])) / sum by (instance) (rate(podnet_transmit_bytes_total[5m]) + rate(podnet_receive_bytes_total[5m]))",
    };

    private static readonly MetricDefinition UnownedFamily = new(
        MetricType.Counter, "podnet_exporter_flow_unowned_packets_total", "packets", "Packets, in flows or not, of an interface that was not known any more when they were read; no record has them.")
    {
        Query = "increase(podnet_exporter_flow_unowned_packets_total[1h]) > 0",
    };

    private static readonly MetricDefinition ForgottenFamily = new(
        MetricType.Counter, "podnet_exporter_flow_forgotten_total", "flows", "Flows whose beginning and state were not kept from one interval to the next, because there were too many, or a killed process had stored half.")
    {
        Query = "increase(podnet_exporter_flow_forgotten_total[1h]) > 0",
        Details = "Their records are complete, but their source is looked for again. Raise `Flows:MaxFlows`.",
    };

    private static readonly MetricDefinition LookupsFamily = new(
        MetricType.Counter,
        "podnet_exporter_flow_lookups_total",
        "questions",
        "Questions to conntrack for the backend of a connection to a Service's own address.",
        new MetricLabel("result", [.. Enum.GetValues<FlowLookup>().Select(RecordText.Name)]))
    {
        Query = "sum by (instance, result) (rate(podnet_exporter_flow_lookups_total[5m]))",
        Details = "not_found: the connection has ended, is in another zone, or its addresses are translated by something else; no_module: the kernel has no nf_conntrack_netlink; refused: CAP_NET_ADMIN is missing; skipped: more than `Flows:MaxLookups`.",
    };

    private readonly Counter.Child[] _records;
    private readonly Counter.Child[] _lookups;
    private readonly Counter.Child[] _packets;
    private readonly Counter.Child[] _bytes;
    private readonly Counter _unowned;
    private readonly Counter _forgotten;

    internal FlowMetrics(IMetricFactory metrics)
    {
        _records = Create(RecordsFamily, metrics);
        (_packets, _bytes) = (Create(UnrecordedPacketsFamily, metrics), Create(UnrecordedBytesFamily, metrics));
        _lookups = Create(LookupsFamily, metrics);
        (_unowned, _forgotten) = (UnownedFamily.CreateCounter(metrics), ForgottenFamily.CreateCounter(metrics));
    }

    internal static IReadOnlyList<MetricDefinition> Families => [RecordsFamily, UnrecordedPacketsFamily, UnrecordedBytesFamily, LookupsFamily, UnownedFamily, ForgottenFamily];

    internal void CountRecord(RecordDataset dataset) => _records[dataset == RecordDataset.Flow ? 0 : 1].Inc();

    internal void CountUnrecorded(RestReason reason, FlowCount count)
    {
        _packets[(int)reason].Inc(count.Packets);
        _bytes[(int)reason].Inc(count.Bytes);
    }

    internal void CountLookups(FlowLookup result, long count) => _lookups[(int)result].Inc(count);

    internal void CountUnowned(ulong packets) => _unowned.Inc(packets);

    internal void CountForgotten(long flows) => _forgotten.Inc(flows);

    private static Counter.Child[] Create(MetricDefinition family, IMetricFactory metrics)
    {
        var counter = family.CreateCounter(metrics);
        Counter.Child[] children = [.. family.Labels[0].Values.Select(value => counter.WithLabels(value))];
        Array.ForEach(children, child => child.Publish());
        return children;
    }
}
