using Exporter.Handshakes;
using Exporter.Traffic;

namespace Exporter.Discovery;

/// <summary>The drains that had begun at some moment: once later ones have ended, nothing that was counted before it is on its way.</summary>
internal readonly record struct DrainMark(long Traffic, long Handshakes);

/// <param name="handshakes">Null where handshakes are not counted.</param>
internal sealed class DrainMarks(TrafficReader reader, HandshakeReader? handshakes)
{
    internal DrainMark Now => new(reader.Started, handshakes?.Started ?? 0);

    internal bool HasPassed(DrainMark mark) =>
        reader.Completed > mark.Traffic && (handshakes is null || handshakes.Completed > mark.Handshakes);
}
