using Exporter.Accounts;
using Exporter.Discovery;
using Exporter.Handshakes;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Replacement;
using Exporter.Security;
using Exporter.Server;
using Exporter.Signals;
using Exporter.State;
using Exporter.Traffic;

namespace Exporter.Commands;

/// <summary>The families about the exporter itself, room by room. Those of pods are in the plan of series.</summary>
internal static class AllFamilies
{
    /// <summary>What there is always.</summary>
    internal static IReadOnlyList<MetricDefinition> OfExporter =>
    [
        .. ProcessMetrics.Families,
        .. InterfaceMetrics.Families,
        .. AccountMetrics.FamiliesOf(AllSignals.Totals),
        .. DrainMetrics.FamiliesOf(AllSignals.Rows),
        .. TrafficLosses.Families,
        .. HandshakeLosses.Families,
        .. StateMetrics.Families,
        .. BpfMetrics.Families,
        .. ObjectStatusBoard.Families,
        .. ServerRefusals.Families,
        .. SecretFiles.Families,
    ];

    /// <summary>What there is where pods are known from Kubernetes.</summary>
    internal static IReadOnlyList<MetricDefinition> OfKubernetes => KubernetesMetrics.Families;
}
