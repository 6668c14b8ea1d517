namespace Exporter.Signals.Handshakes;

/// <summary>How the handshake programs are called.</summary>
internal enum HandshakeAttachType
{
    /// <summary>By kprobes, which take CONFIG_KPROBES and functions that are not inlined.</summary>
    Kprobe,

    /// <summary>By tracepoints, which every kernel with BTF has.</summary>
    Tracepoint,
}
