using Exporter.Metrics;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>The exporter's families about its knowledge of pods. They are there only where that comes from Kubernetes.</summary>
internal sealed class KubernetesMetrics
{
    private static readonly MetricDefinition WatchUpFamily = new(
        MetricType.Gauge, "podnet_exporter_kubernetes_watch_up", "0 or 1", "1 while the watch of this node's pods is established.")
    {
        Query = "podnet_exporter_kubernetes_watch_up == 0",
    };

    private static readonly MetricDefinition HeardTimestampFamily = new(
        MetricType.Gauge, "podnet_exporter_kubernetes_last_event_timestamp_seconds", "seconds", "Time of the last data from the watch of pods, in seconds since 1970; without changes the API server sends some about every minute.")
    {
        Query = "time() - podnet_exporter_kubernetes_last_event_timestamp_seconds",
    };

    private static readonly MetricDefinition RelistsFamily = new(
        MetricType.Counter, "podnet_exporter_kubernetes_relists_total", "listings", "Requests for the list of this node's pods: at the start, where a watch cannot continue, and for interfaces without a pod.")
    {
        Details = "Failed requests count as well.",
        Query = "increase(podnet_exporter_kubernetes_relists_total[1h])",
    };

    private static readonly MetricDefinition ApiErrorsFamily = new(
        MetricType.Counter,
        "podnet_exporter_kubernetes_errors_total",
        "requests",
        "Failed requests to the API server, lists and watches.",
        new MetricLabel("reason", "unauthorized", "forbidden", "gone", "too_many_requests", "refused", "unreachable", "silent", "unreadable", "cut"))
    {
        Query = "sum by (reason) (increase(podnet_exporter_kubernetes_errors_total[1h]))",
        Details = "unauthorized: 401; forbidden: 403; gone: 410, the version is too old, and pods are listed again; too_many_requests: 429; refused: any other status; silent: nothing came for 30 s, or for 150 s from a watch; cut: the connection of an established watch was closed; a new one follows within a second.",
    };

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

    private readonly Counter _errors;
    private readonly Gauge _podStates;

    public KubernetesMetrics(IMetricFactory metrics)
    {
        WatchUp = WatchUpFamily.CreateGauge(metrics);
        Relists = RelistsFamily.CreateCounter(metrics);
        HeardTimestamp = HeardTimestampFamily.CreateGauge(metrics);
        Pods = KnownPodsFamily.CreateGauge(metrics);
        Undecided = UndecidedInterfacesFamily.CreateCounter(metrics);
        _podStates = PodStatesFamily.CreateGauge(metrics);
        SetPods(0, 0, 0);
        _errors = ApiErrorsFamily.CreateCounter(metrics);
        foreach (var reason in ApiErrorsFamily.Labels[0].Values)
        {
            _errors.WithLabels(reason).Publish();
        }
    }

    internal static IReadOnlyList<MetricDefinition> Families => [WatchUpFamily, HeardTimestampFamily, RelistsFamily, ApiErrorsFamily, KnownPodsFamily, PodStatesFamily, UndecidedInterfacesFamily];

    internal Gauge WatchUp { get; }

    internal Counter Relists { get; }

    internal Gauge HeardTimestamp { get; }

    internal Gauge Pods { get; }

    internal Counter Undecided { get; }

    internal void SetPods(int withInterface, int withoutInterface, int hostNetwork)
    {
        _podStates.WithLabels("with_interface").Set(withInterface);
        _podStates.WithLabels("without_interface").Set(withoutInterface);
        _podStates.WithLabels("host_network").Set(hostNetwork);
    }

    internal void CountError(ApiProblem reason) => _errors.WithLabels(ApiErrorsFamily.Labels[0].Values[(int)reason]).Inc();
}

/// <summary>Why the API server could not be asked, or what was wrong with its answer. In the order of the label's values.</summary>
internal enum ApiProblem
{
    /// <summary>401.</summary>
    Unauthorized,

    /// <summary>403.</summary>
    Forbidden,

    /// <summary>410: what is asked from is too long ago.</summary>
    Gone,

    /// <summary>429.</summary>
    TooManyRequests,

    /// <summary>Any other status than 200.</summary>
    Refused,

    /// <summary>No connection, or it broke.</summary>
    Unreachable,

    /// <summary>Nothing came for too long.</summary>
    Silent,

    /// <summary>What came is not what it should be.</summary>
    Unreadable,

    /// <summary>The connection of a watch that had lasted was closed, as by a balancer that closes idle ones.</summary>
    Cut,
}
