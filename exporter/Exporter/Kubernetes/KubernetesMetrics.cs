using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>The exporter's families about its knowledge of pods. They are there only where that comes from Kubernetes.</summary>
internal sealed class KubernetesMetrics
{
    private readonly Counter _errors;

    public KubernetesMetrics(IMetricFactory metrics)
    {
        WatchUp = metrics.CreateGauge("podnet_exporter_kubernetes_watch_up", "1 while the API server tells of changes to this node's pods, else 0.");
        Relists = metrics.CreateCounter(
            "podnet_exporter_kubernetes_relists_total", "Times all pods of this node were listed; the first one is among them.");
        HeardTimestamp = metrics.CreateGauge(
            "podnet_exporter_kubernetes_heard_timestamp_seconds",
            "When the API server was last heard of, in seconds since 1970; without changes that is about every minute.");
        Pods = metrics.CreateGauge("podnet_exporter_kubernetes_pods", "Pods of this node that are known.");
        _errors = metrics.CreateCounter(
            "podnet_exporter_kubernetes_errors_total", "Times that the API server could not be asked, or did not give what it was asked for.", ["reason"]);
        foreach (var reason in Enum.GetValues<ApiProblem>())
        {
            _errors.WithLabels(Label(reason)).Publish();
        }
    }

    internal Gauge WatchUp { get; }

    internal Counter Relists { get; }

    internal Gauge HeardTimestamp { get; }

    internal Gauge Pods { get; }

    internal void CountError(ApiProblem reason) => _errors.WithLabels(Label(reason)).Inc();

    private static string Label(ApiProblem reason) => reason switch
    {
        ApiProblem.Unauthorized => "unauthorized",
        ApiProblem.Forbidden => "forbidden",
        ApiProblem.Gone => "gone",
        ApiProblem.TooManyRequests => "too_many_requests",
        ApiProblem.Refused => "refused",
        ApiProblem.Unreachable => "unreachable",
        ApiProblem.Silent => "silent",
        _ => "unreadable",
    };
}

/// <summary>Why the API server could not be asked, or what was wrong with its answer.</summary>
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
}
