using Exporter.Metrics;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>The exporter's families about its watches of the API server, for one resource.</summary>
internal sealed class WatchMetrics
{
    private static readonly MetricLabel Resource = new("resource", "pods", "services", "endpointslices", "nodes");

    private static readonly MetricDefinition UpFamily = new(
        MetricType.Gauge, "podnet_exporter_kubernetes_watch_up", "0 or 1", "1 while the watch of a resource is established.", Resource)
    {
        Query = "podnet_exporter_kubernetes_watch_up == 0",
        Details = "The exporter watches the pods of its node, and with flows all Services, EndpointSlices and nodes.",
    };

    private static readonly MetricDefinition HeardTimestampFamily = new(
        MetricType.Gauge,
        "podnet_exporter_kubernetes_last_event_timestamp_seconds",
        "seconds",
        "Time of the last data from the watch of a resource, in seconds since 1970; without changes the API server sends some about every minute.",
        Resource)
    {
        Query = "time() - podnet_exporter_kubernetes_last_event_timestamp_seconds",
    };

    private static readonly MetricDefinition RelistsFamily = new(
        MetricType.Counter,
        "podnet_exporter_kubernetes_relists_total",
        "listings",
        "Requests for the list of a resource: at the start, where a watch cannot continue, and for interfaces without a pod.",
        Resource)
    {
        Details = "Failed requests count as well.",
        Query = "increase(podnet_exporter_kubernetes_relists_total[1h])",
    };

    private static readonly MetricDefinition ErrorsFamily = new(
        MetricType.Counter,
        "podnet_exporter_kubernetes_errors_total",
        "requests",
        "Failed requests to the API server, lists and watches.",
        Resource,
        new MetricLabel("reason", "unauthorized", "forbidden", "gone", "too_many_requests", "refused", "unreachable", "silent", "unreadable", "cut"))
    {
        Query = "sum by (resource, reason) (increase(podnet_exporter_kubernetes_errors_total[1h]))",
        Details = "unauthorized: 401; forbidden: 403; gone: 410, the version is too old, and the resource is listed again; too_many_requests: 429; refused: any other status; silent: nothing came for 30 s, or for 150 s from a watch; cut: the connection of an established watch was closed; a new one follows within a second.",
    };

    private readonly Counter.Child[] _errors;

    internal WatchMetrics(IMetricFactory metrics, string resource)
    {
        Up = UpFamily.CreateGauge(metrics).WithLabels(resource);
        HeardTimestamp = HeardTimestampFamily.CreateGauge(metrics).WithLabels(resource);
        Relists = RelistsFamily.CreateCounter(metrics).WithLabels(resource);
        var errors = ErrorsFamily.CreateCounter(metrics);
        _errors = [.. ErrorsFamily.Labels[1].Values.Select(reason => errors.WithLabels(resource, reason))];
        Up.Publish();
        HeardTimestamp.Publish();
        Relists.Publish();
        Array.ForEach(_errors, error => error.Publish());
    }

    internal static IReadOnlyList<MetricDefinition> Families => [UpFamily, HeardTimestampFamily, RelistsFamily, ErrorsFamily];

    internal Gauge.Child Up { get; }

    internal Gauge.Child HeardTimestamp { get; }

    internal Counter.Child Relists { get; }

    internal void CountError(ApiProblem reason) => _errors[(int)reason].Inc();
}
