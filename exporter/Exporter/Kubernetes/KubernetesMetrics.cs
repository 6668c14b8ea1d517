using Exporter.Metrics;
using Prometheus;

namespace Exporter.Kubernetes;

/// <summary>The exporter's families about its knowledge of pods. They are there only where that comes from Kubernetes.</summary>
internal sealed class KubernetesMetrics
{
    private readonly Counter _errors;
    private readonly Gauge _podStates;

    public KubernetesMetrics(IMetricFactory metrics)
    {
        WatchUp = ExporterFamilies.WatchUp.CreateGauge(metrics);
        Relists = ExporterFamilies.Relists.CreateCounter(metrics);
        HeardTimestamp = ExporterFamilies.HeardTimestamp.CreateGauge(metrics);
        Pods = ExporterFamilies.KnownPods.CreateGauge(metrics);
        Undecided = ExporterFamilies.UndecidedInterfaces.CreateCounter(metrics);
        _podStates = ExporterFamilies.PodStates.CreateGauge(metrics);
        SetPods(0, 0, 0);
        _errors = ExporterFamilies.ApiErrors.CreateCounter(metrics);
        foreach (var reason in ExporterFamilies.ApiErrors.Labels[0].Values)
        {
            _errors.WithLabels(reason).Publish();
        }
    }

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

    internal void CountError(ApiProblem reason) => _errors.WithLabels(ExporterFamilies.ApiErrors.Labels[0].Values[(int)reason]).Inc();
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
