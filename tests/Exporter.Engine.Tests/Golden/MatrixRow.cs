namespace Exporter.Engine.Tests.Golden;

/// <summary>Sums over the records of a minute and a pair of workloads or classes.</summary>
/// <param name="RttSum">Of tcp.rtt.smoothed, in nanoseconds, over the records that have it.</param>
internal sealed record MatrixRow(
    ulong SourceBytes = 0, ulong SourcePackets = 0, ulong DestinationBytes = 0, ulong DestinationPackets = 0, ulong Connections = 0, ulong RttSum = 0, ulong RttRecords = 0);
