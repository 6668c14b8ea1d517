using Exporter.Bpf;

namespace Exporter.Signals.Flows;

/// <summary>What the ledger keeps of flows.</summary>
internal static class FlowLedger
{
    internal static RowFields Fields { get; } = new("flows", ["records"]);
}
