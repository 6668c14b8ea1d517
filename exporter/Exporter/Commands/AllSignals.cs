using Exporter.Signals;
using Exporter.Signals.Flows.Shaping;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Signals.Uplinks;

namespace Exporter.Commands;

/// <summary>Names every signal; nothing else does.</summary>
internal static class AllSignals
{
    /// <summary>Reads the options of each.</summary>
    internal static IReadOnlyList<SignalReader> Readers { get; } = [TrafficSignal.Read, HandshakeSignal.Read, UplinkSignal.Read, ShapedFlows.Read];
}
