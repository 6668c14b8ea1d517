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
        var shaping = ShapingOptions.Read(reader, flows.Classes);
        return new FlowSignal(flows, ExportOptions.Read(reader), edges, () => new FlowShaper(shaping, flows.Interval));
    }
}
