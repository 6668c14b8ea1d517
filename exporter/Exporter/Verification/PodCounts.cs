namespace Exporter.Verification;

/// <summary>Bytes and packets as a pod sees them: transmitted by it and received by it.</summary>
internal readonly record struct PodCounts(UInt128 TransmitBytes, UInt128 TransmitPackets, UInt128 ReceiveBytes, UInt128 ReceivePackets)
{
    public static PodCounts operator +(PodCounts left, PodCounts right) => new(
        left.TransmitBytes + right.TransmitBytes,
        left.TransmitPackets + right.TransmitPackets,
        left.ReceiveBytes + right.ReceiveBytes,
        left.ReceivePackets + right.ReceivePackets);
}
