namespace Exporter.Signals.Handshakes;

/// <summary>How the handshake programs are called.</summary>
internal enum HandshakeAttachType
{
    /// <summary>Attached by kprobes, which take CONFIG_KPROBES and functions that are not inlined.</summary>
    Kprobe,

    /// <summary>Attached by tracepoints, which every kernel with BTF has.</summary>
    Tracepoint,
}
