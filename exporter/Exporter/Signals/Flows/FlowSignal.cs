using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Signals.Flows;

/// <summary>Flows of pods: who talks to whom, counted by the packet programs in the same run as traffic.</summary>
internal sealed class FlowSignal(FlowOptions options) : Signal
{
    internal override bool IsOn => options.IsOn;

    internal override RowFields Fields => FlowLedger.Fields;

    internal override SignalTotals Totals => new(FlowLedger.Fields, [], [], "");

    internal override SignalColumns Columns => new(FlowLedger.Fields, []);

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => [];

    internal override IReadOnlyList<string> MapNames => [LoadedFlows.MapKind];

    internal FlowOptions Options => options;

    internal static Signal Read(OptionReader reader, MetricsOptions metrics) => new FlowSignal(FlowOptions.Read(reader));

    internal override MapSetPlan? PlanPacketMaps(BpfOptions bpf) => LoadedFlows.Plan(options, bpf.MaxInterfaces);

    internal override LoadedSignal Load(LoadContext context) =>
        new LoadedFlows(context.Packets.GetAwaiter().GetResult(), options, context.Options.MaxInterfaces, context.IsCommitted);
}
