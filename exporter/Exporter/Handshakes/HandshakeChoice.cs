namespace Exporter.Handshakes;

internal enum HandshakeChoice
{
    Auto,
    Kprobe,
    Tracepoint,
    Off,
}
