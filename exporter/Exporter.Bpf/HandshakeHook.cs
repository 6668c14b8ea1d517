namespace Exporter.Bpf;

/// <summary>How the handshake programs are called.</summary>
public enum HandshakeHook
{
    /// <summary>By kprobes, which take CONFIG_KPROBES and functions that are not inlined.</summary>
    Kprobe,

    /// <summary>By tracepoints, which every kernel with BTF has.</summary>
    Tracepoint,
}
