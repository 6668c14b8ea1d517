namespace Exporter.Records;

/// <summary>The direction of traffic from the pod's view.</summary>
internal enum RestDirection : byte
{
    Transmit,
    Receive,
}
