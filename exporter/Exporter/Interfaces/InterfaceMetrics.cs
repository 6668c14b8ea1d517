using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Interfaces;

/// <summary>The families about interfaces: how many there are in which state, and what failed.</summary>
internal sealed class InterfaceMetrics
{
    private static readonly MetricLabel AttachReasons = new("reason", "eperm", "einval", "emfile", "enomem", "enospc", "eopnotsupp", "removed", "pin", "other");

    /// <summary>The label of states, with its values in the order of <see cref="Pods.InterfaceState"/>.</summary>
    private static readonly MetricLabel States = new("state", "pending", "attached", "failed", "shadowed");

    private static readonly MetricDefinition InterfacesFamily = new(MetricType.Gauge, "podnet_exporter_interfaces", "interfaces", "Interfaces of pods, by their state.", States)
    {
        Query = "podnet_exporter_interfaces{state=~\"failed|shadowed\"} > 0",
        Details = "pending: found, not attached yet; failed: attaching failed and is retried; shadowed: attached, but packets do not reach the programs.",
    };

    private static readonly MetricDefinition AttachErrorsFamily = new(
        MetricType.Counter, "podnet_exporter_attach_errors_total", "programs", "Programs that could not be attached or pinned, or that another process removed.", AttachReasons)
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_attach_errors_total[1h])) > 0",
        Details = "eopnotsupp: the interface's `ffff:` qdisc is of the kind ingress, so what its pod receives cannot be seen by clsact; removed: another process removed them, and they were attached again; pin: attached but not pinned, so that it ends with the process, or a pin that cannot be removed.",
    };

    private static readonly MetricDefinition ReconcileErrorsFamily = new(
        MetricType.Counter, "podnet_exporter_reconcile_errors_total", "rounds", "Rounds of reconciling interfaces that failed in part; the next round retries.")
    {
        Query = "increase(podnet_exporter_reconcile_errors_total[1h]) > 0",
        Details = "A failure of a single interface is counted in `podnet_exporter_attach_errors_total` and not here.",
    };

    private static readonly MetricDefinition UnattachedFamily = new(
        MetricType.Counter,
        "podnet_exporter_unattached_packets_total",
        "packets",
        "Packets that interfaces carried while no programs were attached, by the interfaces' own counters.",
        SharedLabels.Direction)
    {
        Query = "sum by (instance) (increase(podnet_exporter_unattached_packets_total[1h]))",
        Details = "Two kinds are counted: packets of a new interface before its programs were attached, and packets of any interface while another process had "
            + "removed the programs. An interface is new if it appeared while the exporter ran, or since a previous exporter ended. "
            + "Packets during attaching itself (0.1 ms with clsact, some 10 ms with tcx) are not included. The counter increases when programs are attached, also after a restart.",
    };

    private static readonly MetricDefinition UnprovenFamily = new(
        MetricType.Counter,
        "podnet_exporter_unproven_interfaces_total",
        "interfaces",
        "Interfaces found at a start that could not be proven to be the ones a previous process had counted.")
    {
        Query = "increase(podnet_exporter_unproven_interfaces_total[1h]) > 0",
        Details = "Their packets since the last count of the previous process are in `podnet_exporter_unattributed_packets_total`.",
    };

    private static readonly MetricDefinition ResyncsFamily = new(
        MetricType.Counter, "podnet_exporter_netlink_resyncs_total", "listings", "Listings of all interfaces after the kernel dropped interface events.")
    {
        Query = "increase(podnet_exporter_netlink_resyncs_total[1h]) > 0",
    };

    private readonly Gauge _interfaces;
    private readonly Counter _attachErrors;
    private readonly Counter _unattached;

    public InterfaceMetrics(IMetricFactory metrics)
    {
        _interfaces = InterfacesFamily.CreateGauge(metrics);
        _attachErrors = AttachErrorsFamily.CreateCounter(metrics);
        _unattached = UnattachedFamily.CreateCounter(metrics);
        ReconcileErrors = ReconcileErrorsFamily.CreateCounter(metrics);
        UnprovenInterfaces = UnprovenFamily.CreateCounter(metrics);
        Resyncs = ResyncsFamily.CreateCounter(metrics);
        foreach (var state in Enum.GetValues<InterfaceState>())
        {
            _interfaces.WithLabels(EnumText.Lower(state)).Publish();
        }
        foreach (var reason in AttachReasons.Values)
        {
            _attachErrors.WithLabels(reason).Publish();
        }
        foreach (var direction in SharedLabels.Direction.Values)
        {
            AddUnattached(direction, 0);
        }
    }

    internal static IReadOnlyList<MetricDefinition> Families =>
        [InterfacesFamily, AttachErrorsFamily, ReconcileErrorsFamily, UnattachedFamily, UnprovenFamily, ResyncsFamily];

    internal Counter ReconcileErrors { get; }

    internal Counter UnprovenInterfaces { get; }

    internal Counter Resyncs { get; }

    internal void SetInterfaces(InterfaceState state, int count) => _interfaces.WithLabels(EnumText.Lower(state)).Set(count);

    internal void CountAttachError(string reason) => _attachErrors.WithLabels(AttachReasons.Values.Contains(reason) ? reason : "other").Inc();

    /// <summary>Packets that an interface has carried while no programs were attached.</summary>
    internal void AddUnattached(string direction, ulong packets) => _unattached.WithLabels(direction).Inc(packets);
}
