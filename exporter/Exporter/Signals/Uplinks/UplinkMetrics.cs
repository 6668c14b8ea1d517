using Exporter.Metrics;
using Prometheus;

namespace Exporter.Signals.Uplinks;

/// <summary>The family about how uplinks are counted.</summary>
internal sealed class UplinkMetrics
{
    internal const string Counted = "counted";
    internal const string Fallback = "fallback";
    internal const string Failed = "failed";
    internal const string NoSlot = "no_slot";
    internal const string NoEthernet = "no_ethernet";

    private static readonly MetricLabel State = new("state", Counted, Fallback, Failed, NoSlot, NoEthernet);

    private static readonly MetricDefinition Uplinks = new(MetricType.Gauge, "podnet_exporter_uplinks", "interfaces", "Interfaces that Uplinks:Interfaces means, by how they are counted.", State)
    {
        Query = "sum by (instance, state) (podnet_exporter_uplinks{state!=\"counted\"}) > 0",
        Details = "fallback: by TC, although Uplinks:Hook wants XDP; failed: not in both directions; no_slot: more interfaces than can be counted at once; no_ethernet: without Ethernet headers, as of PPP and WireGuard, so not counted. /api/v1/uplinks and the log have the reasons.",
    };

    private readonly Gauge _uplinks;

    internal UplinkMetrics(IMetricFactory metrics)
    {
        _uplinks = Uplinks.CreateGauge(metrics);
        foreach (var state in State.Values)
        {
            Set(state, 0);
        }
    }

    internal static IReadOnlyList<MetricDefinition> Families => [Uplinks];

    internal void Set(string state, int count) => _uplinks.WithLabels(state).Set(count);
}
