using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Export;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Peers;
using Exporter.State;

namespace Exporter.Signals.Flows;

/// <summary>Flows of pods: who talks to whom, counted by the packet programs in the same run as traffic.</summary>
internal sealed class FlowSignal(FlowOptions options, ExportOptions export, EdgeOptions edges) : Signal
{
    internal override bool IsOn => options.IsOn;

    internal override RowFields Fields => FlowBook.Fields;

    internal override SignalTotals Totals => new(FlowBook.Fields, [], [], "");

    internal override SignalColumns Columns => new(FlowBook.Fields, []);

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => [.. FlowMetrics.Families, .. ExportMetrics.Families];

    internal override IReadOnlyList<string> MapNames => [LoadedFlows.MapKind];

    internal FlowOptions Options => options;

    internal ExportOptions Export => export;

    internal override EdgeOptions Edges => edges;

    internal override PeerClasses? PeerClasses => options.IsOn ? options.Classes : null;

    internal static Signal Read(OptionReader reader, MetricsOptions metrics)
    {
        var edges = EdgeOptions.Read(reader);
        return new FlowSignal(FlowOptions.Read(reader, edges), ExportOptions.Read(reader), edges);
    }

    internal override MapSetPlan? PlanPacketMaps(BpfOptions bpf) => LoadedFlows.Plan(options, bpf.MaxInterfaces);

    internal override LoadedSignal Load(LoadContext context) =>
        new LoadedFlows(context.Packets.GetAwaiter().GetResult(), options, context.Options.MaxInterfaces, context.IsCommitted, context.Pins);
}
