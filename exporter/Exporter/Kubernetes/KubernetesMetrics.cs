using Exporter.Metrics;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>The exporter's families about Kubernetes and the node's pods. They exist only with Kubernetes.</summary>
internal sealed class KubernetesMetrics
{
    private static readonly MetricDefinition KnownPodsFamily = new(MetricType.Gauge, "podnet_exporter_kubernetes_pods", "pods", "Pods of this node that the exporter has listed.")
    {
        Query = "sum(podnet_exporter_kubernetes_pods)",
    };

    private static readonly MetricDefinition PodStatesFamily = new(
        MetricType.Gauge,
        "podnet_exporter_pods",
        "pods",
        "Running or pending pods of this node that have an address, by whether the exporter has found an interface of theirs.",
        new MetricLabel("state", "with_interface", "without_interface", "host_network"))
    {
        Query = "podnet_exporter_pods{state=\"without_interface\"} > 0",
        Details = "without_interface: nothing is counted for the pod. Its interface does not exist yet, is excluded, or its namespace does not have the pod's address, as with gVisor.",
    };

    private static readonly MetricDefinition UndecidedInterfacesFamily = new(
        MetricType.Counter,
        "podnet_exporter_undecided_interfaces_total",
        "interfaces",
        "Interfaces that stayed without a pod although pods have their addresses: it is undecidable which pod's sandbox they belong to.")
    {
        Query = "increase(podnet_exporter_undecided_interfaces_total[1h])",
        Details = "Their traffic is in the unattributed families. An interface whose pod turns out to have other addresses is included, and so is one that is decided later.",
    };

    private readonly Gauge _podStates;

    public KubernetesMetrics(IMetricFactory metrics)
    {
        PodWatch = new(metrics, "pods");
        Pods = KnownPodsFamily.CreateGauge(metrics);
        Undecided = UndecidedInterfacesFamily.CreateCounter(metrics);
        _podStates = PodStatesFamily.CreateGauge(metrics);
        SetPods(0, 0, 0);
    }

    internal static IReadOnlyList<MetricDefinition> Families => [.. WatchMetrics.Families, KnownPodsFamily, PodStatesFamily, UndecidedInterfacesFamily];

    internal WatchMetrics PodWatch { get; }

    internal Gauge Pods { get; }

    internal Counter Undecided { get; }

    internal void SetPods(int withInterface, int withoutInterface, int hostNetwork)
    {
        _podStates.WithLabels("with_interface").Set(withInterface);
        _podStates.WithLabels("without_interface").Set(withoutInterface);
        _podStates.WithLabels("host_network").Set(hostNetwork);
    }
}
