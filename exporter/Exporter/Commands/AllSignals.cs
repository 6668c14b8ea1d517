using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Handshakes;
using Exporter.Traffic;

namespace Exporter.Commands;

/// <summary>Names every signal.</summary>
internal static class AllSignals
{
    /// <summary>The rows of each.</summary>
    internal static IReadOnlyList<RowFields> Rows { get; } = [TrafficValue.Fields, HandshakeValue.Fields];

    /// <summary>How the rows of each are added up.</summary>
    internal static IReadOnlyList<SignalTotals> Totals { get; } = [TrafficColumns.Totals, HandshakeColumns.Totals];

    /// <summary>What the rows of each are shown as with these options.</summary>
    internal static IReadOnlyList<SignalColumns> CreateColumns(ExporterOptions options) =>
        [TrafficColumns.Create(options.Metrics), HandshakeColumns.Create(options.Metrics, options.Handshake)];
}
