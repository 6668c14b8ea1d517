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

    /// <summary>The families that there are where pods are known from Kubernetes.</summary>
    internal static IReadOnlyList<MetricDefinition> OfKubernetes => [.. KubernetesMetrics.Families, .. PeerMetrics.Families];
}
