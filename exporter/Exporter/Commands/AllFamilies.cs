using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Interfaces;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Peers;
using Exporter.Replacement;
using Exporter.Server;
using Exporter.Server.Security;
using Exporter.Signals;
using Exporter.State;
using Prometheus;

namespace Exporter.Commands;

/// <summary>The families about the exporter itself, room by room. The pods' families are in the plan of series.</summary>
internal static class AllFamilies
{
    /// <summary>The families that there are always.</summary>
    internal static IReadOnlyList<MetricDefinition> OfExporter(IReadOnlyList<Signal> signals)
    {
        IReadOnlyList<RowFields> rows = [.. signals.Select(signal => signal.Fields)];
        return
        [
            .. ProcessMetrics.FamiliesOf(signals),
            .. InterfaceMetrics.Families,
            .. AccountMetrics.FamiliesOf([.. signals.Select(signal => signal.Totals), EdgeColumns.Totals]),
            .. EdgeMetrics.Families,
            .. DrainMetrics.FamiliesOf(rows),
            .. signals.SelectMany(signal => signal.OwnFamilies),
            .. StateMetrics.Families,
            .. BpfMetrics.FamiliesOf([.. signals.SelectMany(signal => signal.MapNames)]),
            .. ObjectStatusBoard.FamiliesOf(signals),
            .. ServerRefusals.Families,
            .. SecretFiles.Families,
        ];
    }

    /// <summary>
    /// Removes the gauges of programs, maps and interfaces from the exposition, once all of these are removed: they would keep their last values. Counters stay, and the
    /// gauges of the process and of what it knows from Kubernetes.
    /// </summary>
    internal static void RemoveGauges(IMetricFactory metrics, IReadOnlyList<Signal> signals)
    {
        foreach (var family in OfExporter(signals).Where(family => family.Type == MetricType.Gauge).Except(ProcessMetrics.Families))
        {
            var gauge = family.CreateGauge(metrics);
            foreach (var labels in gauge.GetAllLabelValues().ToList())
            {
                gauge.RemoveLabelled(labels);
            }
            if (family.Labels.Count == 0)
            {
                gauge.Unpublish();
            }
        }
    }

    /// <summary>The families that there are where pods are known from Kubernetes.</summary>
    internal static IReadOnlyList<MetricDefinition> OfKubernetes => [.. KubernetesMetrics.Families, .. PeerMetrics.Families];
}
