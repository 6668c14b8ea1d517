using Exporter.Options;

namespace Exporter.Signals.Handshakes;

/// <summary>How TCP handshakes are seen and timed.</summary>
/// <param name="Buckets">In nanoseconds, ascending.</param>
internal sealed record HandshakeOptions(HandshakeAttachOption Hook, IReadOnlyList<ulong> Buckets, int MaxRetransmitting)
{
    /// <summary>As <see cref="Buckets"/>; null where no handshakes are measured.</summary>
    internal IReadOnlyList<ulong>? Bounds => Hook == HandshakeAttachOption.Off ? null : Buckets;

    internal static HandshakeOptions Read(OptionReader reader) => new(
        reader.Choice(
            "Handshake:Hook",
            HandshakeAttachOption.Auto,
            "How to measure TCP handshakes: auto is tracepoints, with kprobes for the failures that tracepoints miss, else kprobes alone; off: not at all."),
        reader.Bounds(
            "Handshake:Buckets",
            "0.00005;0.0001;0.0002;0.0005;0.001;0.002;0.005;0.01;0.02;0.05;0.1;0.2;0.5;1;2;5;10;30",
            HandshakePrograms.MaxBounds,
            "The bounds of podnet_tcp_handshake_duration_seconds, in seconds."),
        reader.Number(
            "Handshake:MaxRetransmitting",
            16384,
            1,
            1 << 20,
            "Most handshakes in flight whose SYN or SYN-ACK was retransmitted; each takes about 100 bytes of kernel memory.",
            previous: "Handshake:MaxLate"));
}
