using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Metrics;
using Exporter.Peers;
using Exporter.State;

namespace Exporter.Signals.Flows;

/// <summary>Flows of pods: who talks to whom, counted by the packet programs in the same run as traffic.</summary>
/// <param name="makeShaper">Makes the shaper of a session.</param>
internal sealed class FlowSignal(FlowOptions options, ExportOptions export, EdgeOptions edges, Func<IFlowShaper> makeShaper) : Signal
{
    internal override bool IsOn => options.IsOn;

    internal override RowFields Fields => FlowBook.Fields;

    internal override SignalTotals Totals => new(FlowBook.Fields, [], [], "");

    internal override SignalColumns Columns => new(FlowBook.Fields, []);

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => [.. FlowMetrics.Families, .. ExportMetrics.Families, .. ElasticsearchMetrics.Families];

    internal override IReadOnlyList<string> MapNames => [LoadedFlows.MapKind];

    internal FlowOptions Options => options;

    internal ExportOptions Export => export;

    internal override EdgeOptions Edges => edges;

    internal override PeerClasses? PeerClasses => options.IsOn ? options.Classes : null;

    internal IFlowShaper MakeShaper() => makeShaper();

    internal override MapSetPlan? PlanPacketMaps(BpfOptions bpf) => LoadedFlows.Plan(options, bpf.MaxInterfaces);

    internal override LoadedSignal Load(LoadContext context) =>
        new LoadedFlows(context.Packets.GetAwaiter().GetResult(), options, context.Options.MaxInterfaces, context.IsCommitted, context.Pins);
}
