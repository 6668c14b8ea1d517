using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Options;

namespace Exporter.Signals.Handshakes;

/// <summary>TCP handshakes: how long they take, and why they fail, counted by tracepoints or kprobes for each network namespace.</summary>
/// <param name="level">The level of its families; null: they are not shown.</param>
internal sealed class HandshakeSignal(HandshakeOptions options, Pods.SeriesLevel? level) : Signal
{
    internal override RowFields Fields => HandshakeValue.Fields;

    internal override SignalTotals Totals => HandshakeColumns.Totals;

    internal override SignalColumns Columns { get; } = HandshakeColumns.Create(level, options);

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => HandshakeLosses.Families;

    internal override IReadOnlyList<string> MapNames => LoadedHandshakes.MapNames;

    internal override IReadOnlyList<HookKind> HookKinds =>
    [
        new("handshake", ": tracepoint, kprobe, off, unavailable (the log says why)"),
        new("handshake_requests", ", how servers' failed requests are seen: kprobe, off, unavailable"),
    ];

    internal override string ObjectName => HandshakePrograms.ObjectName;

    internal HandshakeOptions Options => options;

    internal static Signal Read(OptionReader reader, MetricsOptions metrics)
    {
        var level = reader.Choice(
            "Metrics:Handshakes",
            FamilyLevel.Same,
            "What series of TCP handshakes stand for: same as Metrics:Aggregation, or a level of their own; off: these families are not served. Handshake:Hook=off also loads no programs for them.",
            isLive: true);
        return new HandshakeSignal(HandshakeOptions.Read(reader), metrics.LevelOf(level));
    }

    internal override LoadedSignal Load(LoadContext context)
    {
        var loaded = HandshakeTrial.Attach(options, context.Options, context.Pins, context.IsCommitted);
        try
        {
            context.Namespaces.GetAwaiter().GetResult();
            return loaded;
        }
        catch (BpfException e)
        {
            // Without the numbers of namespaces no handshake would have an owner.
            return loaded.IsCounting ? loaded.GiveUp($"network namespaces: {e.Message}") : loaded;
        }
    }
}
