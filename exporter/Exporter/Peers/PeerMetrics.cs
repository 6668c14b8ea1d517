using Exporter.Metrics;
using Prometheus;

namespace Exporter.Peers;

/// <summary>The exporter's families about peers' names. They exist only where Services, EndpointSlices and nodes are watched.</summary>
internal sealed class PeerMetrics(IMetricFactory metrics)
{
    private static readonly MetricDefinition AddressesFamily = new(
        MetricType.Gauge,
        "podnet_exporter_peer_addresses",
        "addresses",
        "Addresses of Services, their backends and nodes that the exporter knows.")
    {
        Query = "max(podnet_exporter_peer_addresses)",
        Details = "An address that two Services have counts twice. One takes about 100 bytes of memory.",
    };

    private static readonly MetricDefinition RefusedFamily = new(
        MetricType.Counter,
        "podnet_exporter_peer_addresses_refused_total",
        "addresses",
        "Addresses and ports of Services, their backends and nodes that there was no room for.")
    {
        Query = "increase(podnet_exporter_peer_addresses_refused_total[1h]) > 0",
        Details = "Peers at these addresses are shown by their class. The limits are 262,144 addresses, and 1,024 ports for one object.",
    };

    internal static IReadOnlyList<MetricDefinition> Families => [AddressesFamily, RefusedFamily];

    internal Gauge Addresses { get; } = AddressesFamily.CreateGauge(metrics);

    internal Counter Refused { get; } = RefusedFamily.CreateCounter(metrics);
}
