using System.Reflection;
using System.Runtime.InteropServices;
using Exporter.Bpf.Contract;
using Exporter.Options;
using Exporter.Pods;
using Exporter.State;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>Why an exporter counts nothing.</summary>
internal enum StandbyReason
{
    /// <summary>Another one has the lock.</summary>
    Waiting,

    /// <summary>It was asked to remove everything.</summary>
    Uninstalled,
}

/// <summary>
/// The exporter's families about itself. Every error has a counter, which is there, at zero, from the start. Each session makes them again in
/// the registry that lives as long as the process, which hands out the counters that it has: none goes back when options change.
/// </summary>
internal sealed class ExporterMetrics
{
    private readonly Gauge _hookInfo;
    private readonly Gauge _interfaces;
    private readonly Counter _attachErrors;
    private readonly Counter _lostPackets;
    private readonly Counter _lostBytes;
    private readonly Counter _missedPackets;
    private readonly Counter.Child[] _lostHandshakes;

    public ExporterMetrics(IMetricFactory metrics, Ledger ledger)
    {
        ShowBuild(metrics);
        ShowStandby(metrics, null);
        _hookInfo = ExporterFamilies.HookInfo.CreateGauge(metrics);
        _interfaces = ExporterFamilies.Interfaces.CreateGauge(metrics);
        _attachErrors = ExporterFamilies.AttachErrors.CreateCounter(metrics);
        ReconcileErrors = ExporterFamilies.ReconcileErrors.CreateCounter(metrics);
        _lostPackets = ExporterFamilies.LostPackets.CreateCounter(metrics);
        _lostBytes = ExporterFamilies.LostBytes.CreateCounter(metrics);
        _missedPackets = ExporterFamilies.MissedPackets.CreateCounter(metrics);
        Unattributed = new(metrics, ExporterFamilies.Unattributed, ledger);
        var unheld = ExporterFamilies.UnheldRows.CreateCounter(metrics);
        (UnheldTraffic, UnheldHandshakes) = (unheld.WithLabels("traffic"), unheld.WithLabels("handshakes"));
        UnprovenInterfaces = ExporterFamilies.UnprovenInterfaces.CreateCounter(metrics);
        Excluded = new(metrics, ExporterFamilies.Excluded, ledger);
        Folded = new(metrics, ExporterFamilies.Folded, ledger);
        Retired = new(metrics, ExporterFamilies.Retired, ledger);
        var lostHandshakes = ExporterFamilies.LostHandshakes.CreateCounter(metrics);
        _lostHandshakes = [.. ExporterFamilies.HandshakeLoss.Values.Select(reason => lostHandshakes.WithLabels(reason))];
        UnseenHandshakes = Keep("unseen");
        MissedHandshakes = Keep("missed");
        DrainDuration = ExporterFamilies.DrainDuration.CreateHistogram(metrics);
        DrainErrors = ExporterFamilies.DrainErrors.CreateCounter(metrics);
        Resyncs = ExporterFamilies.Resyncs.CreateCounter(metrics);
        Series = ExporterFamilies.Series.CreateGauge(metrics);
        SeriesLimit = ExporterFamilies.SeriesLimit.CreateGauge(metrics);
        SeriesFolded = ExporterFamilies.SeriesFolded.CreateGauge(metrics);
        Pinned = ExporterFamilies.Pinned.CreateGauge(metrics);
        LedgerUnpinned = ExporterFamilies.LedgerUnpinned.CreateGauge(metrics);
        UndecidedPins = ExporterFamilies.UndecidedPins.CreateGauge(metrics);

        foreach (var state in Enum.GetValues<InterfaceState>())
        {
            _interfaces.WithLabels(EnumText.Lower(state)).Publish();
        }
        foreach (var reason in ExporterFamilies.AttachError.Values)
        {
            _attachErrors.WithLabels(reason).Publish();
        }
        foreach (var reason in Enum.GetValues<LossReason>())
        {
            SetLoss(reason, default);
        }
        foreach (var direction in PodFamilies.Direction.Values)
        {
            AddMissed(direction, 0);
        }

        LedgerCounter Keep(string reason) => new(lostHandshakes.WithLabels(reason), $"{ExporterFamilies.LostHandshakes.Name} {reason}", ledger);
    }

    internal static string Version { get; } =
        typeof(ExporterMetrics).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    internal static void ShowBuild(IMetricFactory metrics) =>
        ExporterFamilies.BuildInfo.CreateGauge(metrics).WithLabels(Version, EnumText.Lower(RuntimeInformation.ProcessArchitecture)).Set(1);

    /// <param name="reason">Null: it counts.</param>
    internal static void ShowStandby(IMetricFactory metrics, StandbyReason? reason)
    {
        var standby = ExporterFamilies.Standby.CreateGauge(metrics);
        foreach (var one in Enum.GetValues<StandbyReason>())
        {
            standby.WithLabels(EnumText.Lower(one)).Set(one == reason ? 1 : 0);
        }
        ExporterFamilies.Waiting.CreateGauge(metrics).Set(reason == StandbyReason.Waiting ? 1 : 0);
    }

    internal Histogram DrainDuration { get; }

    internal Counter DrainErrors { get; }

    internal Counter ReconcileErrors { get; }

    internal Counter.Child UnheldTraffic { get; }

    internal Counter.Child UnheldHandshakes { get; }

    internal Counter UnprovenInterfaces { get; }

    internal Counter Resyncs { get; }

    internal Gauge Series { get; }

    internal Gauge SeriesLimit { get; }

    internal Gauge SeriesFolded { get; }

    internal Gauge Pinned { get; }

    internal Gauge LedgerUnpinned { get; }

    /// <summary>Folders of pins that the start kept, since it is not known whether their network namespaces exist.</summary>
    internal Gauge UndecidedPins { get; }

    /// <summary>Of interfaces whose pod did not become known in time.</summary>
    internal TotalCounts Unattributed { get; }

    /// <summary>Of pods that are to have no series.</summary>
    internal TotalCounts Excluded { get; }

    /// <summary>What is counted under <c>__other__</c>, for which there was no room.</summary>
    internal TotalCounts Folded { get; }

    /// <summary>What was counted in series that have left.</summary>
    internal TotalCounts Retired { get; }

    /// <summary>Handshakes that were remembered and whose end the programs did not see.</summary>
    internal LedgerCounter UnseenHandshakes { get; }

    /// <summary>Changes of sockets' states that the kernel did not show to the programs: so many handshakes at the most.</summary>
    internal LedgerCounter MissedHandshakes { get; }

    internal void SetHook(string kind, string hook) => _hookInfo.WithLabels(kind, hook).Set(1);

    internal void SetInterfaces(InterfaceState state, int count) => _interfaces.WithLabels(EnumText.Lower(state)).Set(count);

    internal void CountAttachError(string reason) =>
        _attachErrors.WithLabels(ExporterFamilies.AttachError.Values.Contains(reason) ? reason : "other").Inc();

    /// <param name="total">Since the programs were loaded.</param>
    internal void SetLoss(LossReason reason, Loss total)
    {
        var label = ExporterFamilies.PacketLoss.Values[(int)reason];
        _lostPackets.WithLabels(label).IncTo(total.Packets);
        _lostBytes.WithLabels(label).IncTo(total.Bytes);
    }

    /// <param name="total">Since the programs were loaded.</param>
    internal void SetLoss(HandshakeLoss reason, ulong total) => _lostHandshakes[(int)reason].IncTo(total);

    internal void AddMissed(string direction, ulong packets) => _missedPackets.WithLabels(direction).Inc(packets);
}
