using System.Reflection;
using System.Runtime.InteropServices;
using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>The exporter's families about itself. Every error has a counter, which is there, at zero, from the start.</summary>
internal sealed class ExporterMetrics
{
    internal const string Transmit = "transmit";
    internal const string Receive = "receive";

    private static readonly string[] AttachErrorReasons = ["eperm", "einval", "emfile", "enomem", "enospc", "removed", "other"];

    /// <summary>By <see cref="HandshakeLoss"/>.</summary>
    private static readonly string[] HandshakeLossLabels = ["map_full", "map_busy", "map_error", "late_full", "untimed"];

    private readonly Gauge _hookInfo;
    private readonly Gauge _interfaces;
    private readonly Counter _attachErrors;
    private readonly Counter _lostPackets;
    private readonly Counter _lostBytes;
    private readonly Counter _missedPackets;
    private readonly Counter.Child[] _lostHandshakes;

    public ExporterMetrics(IMetricFactory metrics)
    {
        metrics.CreateGauge("podnet_exporter_build_info", "1; the labels say what runs.", ["version", "arch"])
            .WithLabels(Version, RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()).Set(1);
        _hookInfo = metrics.CreateGauge("podnet_exporter_hook_info", "1; how programs are attached.", ["kind", "hook"]);
        _interfaces = metrics.CreateGauge(
            "podnet_exporter_interfaces", "Interfaces of pods, by what the exporter does with them.", ["state"]);
        _attachErrors = metrics.CreateCounter(
            "podnet_exporter_attach_errors_total", "Programs that could not be attached, or that somebody else removed.", ["reason"]);
        _lostPackets = metrics.CreateCounter(
            "podnet_exporter_lost_packets_total", "Packets that passed the programs and could not be counted.", ["reason"]);
        _lostBytes = metrics.CreateCounter("podnet_exporter_lost_bytes_total", "The bytes of the lost packets.", ["reason"]);
        _missedPackets = metrics.CreateCounter(
            "podnet_exporter_missed_packets_total",
            "Packets that a new interface had carried, by its own counters, before the programs were attached.",
            ["direction"]);
        Unattributed = new(
            metrics,
            "unattributed",
            "on an interface whose pod did not become known in time",
            "in a network namespace whose pod did not become known in time");
        Excluded = new(metrics, "excluded", "for pods that are left out", "of pods that are left out");
        var lostHandshakes = metrics.CreateCounter(
            "podnet_exporter_lost_handshakes_total", "TCP handshakes that were seen and could not be counted or timed.", ["reason"]);
        _lostHandshakes = [.. HandshakeLossLabels.Select(reason => lostHandshakes.WithLabels(reason))];
        UnseenHandshakes = lostHandshakes.WithLabels("unseen");
        MissedHandshakes = lostHandshakes.WithLabels("missed");
        DrainDuration = metrics.CreateHistogram(
            "podnet_exporter_drain_duration_seconds",
            "Time to fetch the counters from the kernel, the RCU grace period included.",
            new HistogramConfiguration { Buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1] });
        DrainErrors = metrics.CreateCounter(
            "podnet_exporter_drain_errors_total", "Drains that failed; what was counted stays in the kernel for the next.");
        Resyncs = metrics.CreateCounter(
            "podnet_exporter_netlink_resyncs_total", "Times the kernel had more interface events than could be kept, and all were listed again.");
        Series = metrics.CreateGauge("podnet_exporter_series", "Sample lines of the pods' families.");

        foreach (var state in Enum.GetValues<InterfaceState>())
        {
            SetInterfaces(state, 0);
        }
        foreach (var reason in AttachErrorReasons)
        {
            _attachErrors.WithLabels(reason).Publish();
        }
        foreach (var reason in Enum.GetValues<LossReason>())
        {
            SetLoss(reason, default);
        }
        foreach (var direction in (string[])[Transmit, Receive])
        {
            AddMissed(direction, 0);
        }
    }

    internal static string Version { get; } =
        typeof(ExporterMetrics).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    internal Histogram DrainDuration { get; }

    internal Counter DrainErrors { get; }

    internal Counter Resyncs { get; }

    internal Gauge Series { get; }

    /// <summary>Of interfaces whose pod did not become known in time.</summary>
    internal TotalCounts Unattributed { get; }

    /// <summary>Of pods that are to have no series.</summary>
    internal TotalCounts Excluded { get; }

    /// <summary>Handshakes that were remembered and whose end the programs did not see.</summary>
    internal Counter.Child UnseenHandshakes { get; }

    /// <summary>Changes of sockets' states that the kernel did not show to the programs: so many handshakes at the most.</summary>
    internal Counter.Child MissedHandshakes { get; }

    internal void SetHook(string kind, string hook) => _hookInfo.WithLabels(kind, hook).Set(1);

    internal void SetInterfaces(InterfaceState state, int count) => _interfaces.WithLabels(state.ToString().ToLowerInvariant()).Set(count);

    internal void CountAttachError(string reason) =>
        _attachErrors.WithLabels(AttachErrorReasons.Contains(reason) ? reason : "other").Inc();

    /// <param name="total">Since the programs were loaded.</param>
    internal void SetLoss(LossReason reason, Loss total)
    {
        var label = reason switch
        {
            LossReason.MapFull => "map_full",
            LossReason.MapBusy => "map_busy",
            _ => "map_error",
        };
        _lostPackets.WithLabels(label).IncTo(total.Packets);
        _lostBytes.WithLabels(label).IncTo(total.Bytes);
    }

    /// <param name="total">Since the programs were loaded.</param>
    internal void SetLoss(HandshakeLoss reason, ulong total) => _lostHandshakes[(int)reason].IncTo(total);

    internal void AddMissed(string direction, ulong packets) => _missedPackets.WithLabels(direction).Inc(packets);
}
