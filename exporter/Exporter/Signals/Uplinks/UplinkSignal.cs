using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Options;

namespace Exporter.Signals.Uplinks;

/// <summary>Frames of the node's own interfaces, by class, counted by XDP or TC, and beside them what these interfaces dropped.</summary>
internal sealed class UplinkSignal(UplinkOptions options) : Signal
{
    internal override bool IsOn => options.IsOn;

    internal override RowFields Fields => UplinkRow.Fields;

    internal override SignalTotals Totals => UplinkColumns.Totals;

    internal override SignalColumns Columns => options.IsOn ? UplinkColumns.All : UplinkColumns.None;

    internal override SignalColumns Documented => UplinkColumns.All;

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => UplinkMetrics.Families;

    internal override IReadOnlyList<string> MapNames => [];

    internal override IReadOnlyList<HookKind> HookKinds => [new("uplink", ", how frames that arrive at an uplink are counted: tcx, clsact, xdp, xdp-generic, off, unavailable")];

    internal override string ObjectName => UplinkPrograms.ObjectName;

    internal UplinkOptions Options => options;

    internal static Signal Read(OptionReader reader, MetricsOptions metrics) => new UplinkSignal(UplinkOptions.Read(reader));

    internal override LoadedSignal Load(LoadContext context) => new LoadedUplinks(context, options);
}
