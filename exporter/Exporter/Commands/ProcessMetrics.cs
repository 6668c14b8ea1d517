using System.Runtime.InteropServices;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Signals;
using Prometheus;

namespace Exporter.Commands;

/// <summary>The families about this process: its version, why it counts nothing, and its options.</summary>
internal static class ProcessMetrics
{
    private static readonly MetricDefinition BuildInfo = new(MetricType.Gauge, "podnet_exporter_build_info", "1", "Always 1; the labels are the version and the architecture.", new("version"), new("arch"))
    {
        Query = "count by (version, arch) (podnet_exporter_build_info)",
    };

    private static readonly MetricDefinition Standby = new(
        MetricType.Gauge, "podnet_exporter_standby", "0 or 1", "1 while this process counts nothing, for this reason.", new MetricLabel("reason", "waiting", "uninstalled"))
    {
        Query = "podnet_exporter_standby == 1",
        Details = "waiting: another exporter in this network namespace holds the lock of the pin directory, see `podnet_exporter_waiting`; uninstalled: `podnet-exporter uninstall` had everything removed, and the gauges of programs, maps and interfaces are removed with them.",
    };

    private static readonly MetricDefinition Waiting = new(
        MetricType.Gauge, "podnet_exporter_waiting", "0 or 1", "1 while this process counts nothing because another exporter holds the lock of the pin directory.")
    {
        Query = "min_over_time(podnet_exporter_waiting[10m]) == 1",
        Details = "It is not ready meanwhile. An upgrade takes some seconds of this; if it lasts, two exporters run in one network namespace with one `Bpf:PinDirectory`.",
    };

    internal static readonly MetricDefinition Ready = new(
        MetricType.Gauge, "podnet_exporter_ready", "0 or 1", "1 once this process has listed the node's interfaces and, with Kubernetes, its pods. /readyz names the missing parts.")
    {
        Query = "podnet_exporter_ready == 0",
        Details = "It stays 1 afterwards; other metrics report later failures.",
    };

    internal static readonly MetricDefinition OptionErrors = new(
        MetricType.Counter, "podnet_exporter_config_reload_failures_total", "changes", "Failed reloads of the option files.")
    {
        Query = "increase(podnet_exporter_config_reload_failures_total[1h]) > 0",
        Details = "The previous options stay in force; the log has the reasons.",
    };

    internal static readonly MetricDefinition OptionsPending = new(
        MetricType.Gauge, "podnet_exporter_options_pending_restart", "options", "Options that have changed in the files and apply only at the next start.")
    {
        Query = "podnet_exporter_options_pending_restart > 0",
    };

    /// <summary>The families of a process, whether it counts or not.</summary>
    internal static IReadOnlyList<MetricDefinition> Families => [BuildInfo, Standby, Waiting, Ready, OptionErrors, OptionsPending];

    internal static IReadOnlyList<MetricDefinition> FamiliesOf(IReadOnlyList<Signal> signals) => [BuildInfo, HookMetrics.FamilyOf(signals), Standby, Waiting, Ready, OptionErrors, OptionsPending];

    internal static void ShowBuild(IMetricFactory metrics) =>
        BuildInfo.CreateGauge(metrics).WithLabels(ProductVersion.Text, EnumText.Lower(RuntimeInformation.ProcessArchitecture)).Set(1);

    /// <param name="reason">Null: it counts.</param>
    internal static void ShowStandby(IMetricFactory metrics, StandbyReason? reason)
    {
        var standby = Standby.CreateGauge(metrics);
        foreach (var one in Enum.GetValues<StandbyReason>())
        {
            standby.WithLabels(EnumText.Lower(one)).Set(one == reason ? 1 : 0);
        }
        Waiting.CreateGauge(metrics).Set(reason == StandbyReason.Waiting ? 1 : 0);
    }
}
