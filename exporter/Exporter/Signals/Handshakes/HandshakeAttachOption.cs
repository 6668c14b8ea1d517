namespace Exporter.Signals.Handshakes;

internal enum HandshakeAttachOption
{
    Auto,
    Kprobe,
    Tracepoint,
    Off,
}
