using Exporter.Accounts;
using Exporter.Edges;
using Exporter.Export;
using Exporter.Options;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>The signal of flows with the options that shape their records.</summary>
internal static class ShapedFlows
{
    internal static Signal Read(OptionReader reader, MetricsOptions metrics)
    {
        var edges = EdgeOptions.Read(reader);
        var flows = FlowOptions.Read(reader, edges);
        var shaping = ShapingOptions.Read(reader, flows.Classes) with { Sampling = flows.Sampling };
        var export = ExportOptions.Read(reader);
        FlowExport.Check(export, reader);
        return new FlowSignal(flows, export, edges, () => new FlowShaper(shaping, flows.Interval));
    }
}
